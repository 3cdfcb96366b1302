#pragma once
// This process's connections to the other ranks of a job: messages in order for each
// (sender, group, tag), to where the receiver wants them. A thread of its own reads
// what comes and writes what could not be written at once, so that no rank has to
// receive for another to be able to send.
//
// A connection that ends without a goodbye is a rank that has died: the job's health
// fails at once and names it. Whatever fails the health here is told to all others.
// Safe from any thread.

#include <atomic>
#include <compare>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "distribute/comm/job_health.h"
#include "distribute/transport/tcp/frame_reader.h"

namespace tributary {

class TcpMesh;

// A connection that both ends have agreed on. Empty for the rank itself.
struct TcpLink {
  UniqueFd fd;
  std::unique_ptr<ByteStream> stream;  // over fd
};

struct MessageKey {
  uint64_t group = 0;
  uint32_t tag = 0;
  auto operator<=>(const MessageKey&) const = default;
};

// A message that somebody waits for. Its memory is let go when this ends.
class Incoming {
 public:
  Incoming() = default;
  ~Incoming();
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;

  // After Wait. Another size than asked for: the bytes were dropped.
  bool fits() const { return size_ == into_.size(); }
  uint64_t size() const { return size_; }
  uint64_t stamp() const { return stamp_; }

 private:
  friend class TcpMesh;
  enum class State { kIdle, kWaiting, kFilling, kDone };
  TcpMesh* mesh_ = nullptr;
  int source_ = 0;
  MessageKey key_;
  MutableBytes into_;
  State state_ = State::kIdle;
  uint64_t size_ = 0, stamp_ = 0;
};

// A message on its way. Bytes that are not sent when this ends are copied.
class Outgoing {
 public:
  Outgoing() = default;
  ~Outgoing();
  Outgoing(const Outgoing&) = delete;
  Outgoing& operator=(const Outgoing&) = delete;

 private:
  friend class TcpMesh;
  struct Parcel;
  TcpMesh* mesh_ = nullptr;
  int destination_ = 0;
  std::shared_ptr<Parcel> parcel_;
};

// How long a wait may last, and whose failure ends it.
struct WaitLimits {
  const char* call = "";  // for messages
  Clock::time_point deadline;
  JobHealth* health = nullptr;
  int tag = -1;  // for messages, if not negative
};

class TcpMesh {
 public:
  // One message; longer ones are refused on either side.
  static constexpr uint64_t kMaxMessage = 1ull << 30;

  // `places[r]` is what rank r's address is in messages.
  TcpMesh(int rank, std::vector<TcpLink> links, std::vector<std::string> places,
          std::shared_ptr<JobHealth> health);
  ~TcpMesh();

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(peers_.size()); }
  const std::shared_ptr<JobHealth>& health() const { return health_; }

  // Nothing else may wait for a message of that source and key.
  void Expect(int source, MessageKey key, MutableBytes into, Incoming* incoming);
  // Sends what can be sent at once; `body` must stay valid until Wait has returned, or
  // `outgoing` is gone. `stamp` travels along.
  void Start(int destination, MessageKey key, uint64_t stamp, ConstBytes body,
             Outgoing* outgoing);
  // Sends a copy. Dropped where the rank has gone.
  void Post(int destination, MessageKey key, ConstBytes body);
  bool Has(int source, MessageKey key);

  // Throw UnavailableError (the health failed, the rank has gone) and
  // DeadlineExceededError naming the rank, which then counts as lost.
  void Wait(Incoming& incoming, const WaitLimits& limits);
  void Wait(Outgoing& outgoing, const WaitLimits& limits);

  // Looks at the health soon.
  void Wake();
  // Says goodbye (or what the job has failed of) and closes all connections. Whatever
  // waits ends with UnavailableError.
  void Leave();

 private:
  friend class Incoming;
  friend class Outgoing;
  using Parcel = Outgoing::Parcel;
  struct Letter;
  struct Peer;

  Peer& PeerOf(int rank) { return *peers_[static_cast<size_t>(rank)]; }
  void Loop();
  void Turn(Peer& peer, short happened);
  bool Read(Peer& peer);
  void Write(Peer& peer);
  void WriteQueue(Peer& peer);
  void Take(Peer& peer);
  void Deliver(Peer& peer, const MessageKey& key, Letter letter);
  void Enqueue(Peer& peer, uint16_t kind, MessageKey key, uint64_t stamp, ConstBytes body,
               bool copy, Outgoing* outgoing);
  void TellFailure();
  void Gone(Peer& peer, const std::string& why);
  void Forget(Incoming& incoming);
  void Release(Outgoing& outgoing);
  template <typename Ready, typename Blame>
  void Await(Peer& peer, const WaitLimits& limits, Ready ready, Blame blame);

  const int rank_;
  const std::shared_ptr<JobHealth> health_;
  std::vector<std::unique_ptr<Peer>> peers_;
  int wake_fd_ = -1;
  std::atomic<bool> leaving_{false}, stop_{false};
  bool told_ = false;  // of the failure; the thread's
  std::thread thread_;
};

}  // namespace tributary

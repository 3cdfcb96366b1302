#pragma once
// Framed requests and replies between named tasks: the port that parameter servers
// and their workers talk through. Carriers register by the scheme of the address:
//
//   inproc://name      threads of one process
//   tcp://host:port    processes anywhere (port 0: the system's choice)
//   mpi://rank         ranks of one MPI job
//
//   auto server = Listen("tcp://127.0.0.1:0", handler, options);   // one shard, one thread
//   auto channel = Connect(server->address(), hello, {});
//   const CallId call = channel->Start(kPull, table, 0, control, {}, into, After(Millis(5000)));
//   const Reply reply = channel->Wait(call);
//
// Every wait ends by its deadline. A peer that has died or is stopped is named
// within `dead_after` and a second.

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/registry.h"
#include "distribute/transport/frame.h"

namespace tributary {

using Clock = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;
using Deadline = Clock::time_point;
inline Deadline After(Millis time) { return Clock::now() + time; }

// A chief's number among the workers of a server (Hello::task): apart from all of theirs.
inline constexpr uint32_t kChiefTask = 1u << 24;

// Who a process is; the first thing that it says to a server. A server refuses
// another config hash or build id than its own (empty: does not matter).
struct Hello {
  std::string role;         // "worker", "chief", "ps", ...
  uint32_t task = 0;        // stamped on every request as FrameHeader::worker
  uint64_t generation = 0;  // of the task: rises with every restart
  std::string build_id = DefaultBuildId();
  std::string config_hash;

  static std::string DefaultBuildId();
  std::string Name() const;  // "/job:worker/task:1"
};

// --- Server side -----------------------------------------------------------------

struct Request {  // what a handler sees; the spans are valid until it has replied
  FrameHeader header;
  ConstBytes control;
  ConstBytes payload;           // aligned to 64 bytes
  const Hello* peer = nullptr;  // null where no transport is involved (unit tests)
};

// Where a reply goes. Implemented by carriers (and by tests); a sink recycles itself
// once one of these was called. Neither throws.
class ReplySink {
 public:
  virtual void Reply(ConstBytes control, std::span<const ConstBytes> payload) = 0;
  virtual void Fail(const std::exception& error) = 0;

 protected:
  ~ReplySink() = default;
};

// Replies exactly once, from any thread, maybe later. One that is destroyed without
// a reply fails the request with InternalError.
class Responder {
 public:
  Responder() = default;
  explicit Responder(ReplySink* sink) : sink_(sink) {}
  Responder(Responder&& other) noexcept : sink_(std::exchange(other.sink_, nullptr)) {}
  Responder& operator=(Responder&& other) noexcept;
  ~Responder();

  // The parts are sent, or copied, before it returns. A client that is gone or no
  // longer waits is no error.
  void Reply(ConstBytes control, std::span<const ConstBytes> payload);
  void Reply(ConstBytes control = {}) { Reply(control, {}); }
  // Code and text travel; the caller's Wait throws the same type.
  void Fail(const std::exception& error);
  bool pending() const { return sink_ != nullptr; }

 private:
  ReplySink* Take();
  ReplySink* sink_ = nullptr;
};

// Called on the server's one thread, never twice at once; the requests of a
// connection arrive in order. The next one may come before an earlier one has its
// reply. An exception fails the request (unless the responder was moved away).
using Handler = std::function<void(const Request&, Responder)>;

enum class PeerEvent {
  kJoined,
  kLeft,    // it has closed its channel
  kLost,    // its connection has ended
  kSilent,  // no sign of life for `dead_after`: its process is stopped, or out of reach
};
// On the server's thread; kLost and kSilent come with the reason.
using PeerObserver = std::function<void(const Hello&, PeerEvent, const std::string& reason)>;

struct PeerStatus {
  Hello hello;
  uint64_t progress = 0;       // what the peer's heartbeat says
  double seconds_silent = 0;   // since the last sign of life
  double seconds_stalled = 0;  // since `progress` last rose
};

struct TransportStats {
  uint64_t requests = 0, bytes_in = 0, bytes_out = 0;
  uint64_t accepted = 0;  // connections whose hello was taken
  uint64_t refused = 0;   // wrong key, wrong hello, too slow, too many
  uint64_t bad_frames = 0;
};

class Server {
 public:
  // No handler runs, and none will, once the destructor (or Stop) has returned.
  virtual ~Server() = default;
  virtual void Stop() = 0;
  // Runs `task` on the server's thread, between two requests. Any thread. False: the
  // server has stopped, and the task is dropped.
  virtual bool Post(std::function<void()> task) = 0;
  // With the real port; what Connect takes.
  virtual const std::string& address() const = 0;
  virtual std::vector<PeerStatus> Peers() const = 0;
  virtual TransportStats stats() const = 0;
};

// --- Client side -----------------------------------------------------------------

using CallId = uint64_t;

struct Reply {  // the spans are valid until the channel's next Start
  FrameHeader header;
  ConstBytes control;
  ConstBytes payload;  // empty where the caller gave `into`; aligned to 64 bytes
};

// The client's side of one (worker, server) pair. One thread at a time uses it.
// Once a call has thrown UnavailableError the channel is of no more use: Connect
// again (when and how often is the caller's policy).
class Channel {
 public:
  virtual ~Channel() = default;

  // Starts a call: `payload` is sent, and the reply's payload received, from and to
  // where they lie. All spans (of `payload` and `into` also the lists) must stay
  // valid until Wait has returned or thrown. The reply's payload must be as large as
  // `into` in all, or Wait throws InvalidArgumentError; where `into` is empty it goes
  // to a buffer of the channel. May return before all is sent; Flush and Wait go on.
  // Throws UnavailableError.
  virtual CallId Start(uint16_t kind, uint32_t table, uint64_t sequence, ConstBytes control,
                       std::span<const ConstBytes> payload, std::span<const MutableBytes> into,
                       Deadline deadline) = 0;
  // Throws DeadlineExceededError or UnavailableError naming the peer, or the error
  // that the server sent. Calls may be waited for in any order, each once.
  virtual Reply Wait(CallId call) = 0;
  // Returns when all started calls are in the hands of the system.
  virtual void Flush(Deadline deadline) = 0;

  Reply Call(uint16_t kind, uint32_t table, ConstBytes control,
             std::span<const ConstBytes> payload, std::span<const MutableBytes> into,
             Deadline deadline) {
    return Wait(Start(kind, table, 0, control, payload, into, deadline));
  }

  // Stamped on every later request; at first the hello's.
  virtual void SetGeneration(uint64_t generation) = 0;
  // Travels with the heartbeats; any thread.
  virtual void SetProgress(uint64_t progress) = 0;
  // "/job:ps/task:1 at tcp://127.0.0.1:4000", for messages.
  virtual const std::string& peer() const = 0;
  virtual const Hello& server() const = 0;
};

// --- Making them -------------------------------------------------------------------

enum class SecurityMode {
  kAuto,          // none on loopback, else the job key; without one, refuse
  kNone,          // loopback only
  kJobKey,        // TLS 1.3 with the job's key
  kCertificates,  // TLS 1.3, both sides show a certificate of the job's authority
};

struct SecurityOptions {
  SecurityMode mode = SecurityMode::kAuto;
  // The job's secret, 32 bytes as 64 hex digits: a file of mode 0600, or an open
  // descriptor that this process has inherited. Never argv, never YAML.
  std::string key_file;
  int key_fd = -1;
  std::string job_id;  // keys of different jobs differ even if the secret is one
  std::string certificate_file, private_key_file, authority_file;  // PEM
};

struct TransportOptions {
  FrameLimits limits;
  SecurityOptions security;
  Millis connect_timeout{5000};    // of Connect; and of a handshake at the server
  Millis heartbeat_period{500};
  Millis dead_after{5000};         // without a sign of life
  int max_handshakes = 64;         // under way and not yet authenticated, at the server
  int max_pending = 256;           // requests of a connection without a reply
  bool checksums = true;           // of control and payload, where no TLS protects them
};

struct ServerOptions : TransportOptions {
  Hello hello;  // who the server is
  PeerObserver observer;
  // Throws to refuse a client whose hello fits otherwise (a stale generation). Not on
  // the server's thread.
  std::function<void(const Hello&)> admit;
};

struct ChannelOptions : TransportOptions {
  // Who must answer, e.g. "/job:ps/task:1"; empty: anybody.
  std::string expected_server;
};

struct Carrier {
  std::string description;
  std::function<std::unique_ptr<Server>(const std::string& address, Handler, const ServerOptions&)>
      listen;
  std::function<std::unique_ptr<Channel>(const std::string& address, const Hello&,
                                         const ChannelOptions&)>
      connect;
};
Registry<Carrier>& CarrierRegistry();

struct CarrierRegistrar {
  CarrierRegistrar(const char* scheme, Carrier carrier) {
    CarrierRegistry().Add(scheme, std::move(carrier));
  }
};

// Throws InvalidArgumentError (address), NotFoundError (scheme), AlreadyExistsError
// (in use), UnauthenticatedError (an address that needs the job key).
std::unique_ptr<Server> Listen(const std::string& address, Handler handler,
                               const ServerOptions& options);
// Throws UnavailableError (nobody there, within connect_timeout), UnauthenticatedError,
// FailedPreconditionError (the hellos do not match; both are printed).
std::unique_ptr<Channel> Connect(const std::string& address, const Hello& hello,
                                 const ChannelOptions& options = {});

}  // namespace tributary

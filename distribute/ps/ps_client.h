#pragma once
// A worker's (or the chief's) side of all parameter servers of a job.
//
//   PsClient client({.hello = {.role = "worker", .task = 1}, .servers = 2, .find = ...});
//   client.Join(0);
//   StepExchange step(client.servers());
//   step.Begin(kPushPull, t, rate, kEndOfStep); step.PushDense(...); step.PullRows(...);
//   client.Start(&step);   ...   client.Finish(&step);
//
// A server that is lost is looked for again until `patience` is over, and what was under
// way is said again: pulls have no effect, and pushes carry a sequence number, so that
// each is applied exactly once.
//
// Once it has joined, ids that a server has from an earlier message are not sent again; a
// server that does not have them any more is told them (key_lists.h).
//
// One thread at a time.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "distribute/ps/step_exchange.h"
#include "distribute/transport/transport.h"

namespace tributary::ps {

struct PsClientOptions {
  Hello hello;  // its task numbers the worker
  int servers = 1;
  // Where a server is now: asked at the start, and when it was lost. UnavailableError: not
  // known yet, ask again.
  std::function<std::string(int server)> find;
  ChannelOptions channel;
  Millis patience{60'000};  // with a server that is lost
  Millis timeout{300'000};  // of a request to one that is alive (it may wait for other workers)
  bool key_lists = true;    // ids that a server has are left out
};

class PsClient {
 public:
  // Connects to all servers. Throws UnavailableError naming the one that is not there.
  explicit PsClient(PsClientOptions options);
  ~PsClient();

  int servers() const { return static_cast<int>(links_.size()); }
  const Hello& hello() const { return options_.hello; }

  // Takes part from now on, as the hello's generation; what each server knows of it.
  std::vector<WorkerReply> Join(int64_t step = 0);
  // A new life: pushes of the present one are no longer heard once Join has returned.
  void SetGeneration(uint64_t generation);

  // One request of any other kind; retried like steps are. Returns the reply's control.
  std::string Call(int server, uint16_t kind, const std::string& control,
                   std::span<const ConstBytes> payload = {});
  template <typename T>
  std::string Call(int server, uint16_t kind, const T& control,
                   std::span<const ConstBytes> payload = {}) {
    return Call(server, kind, Pack(control), payload);
  }
  // The same to all at once.
  std::vector<std::string> CallAll(uint16_t kind, const std::string& control);

  // Sends; servers to which there is nothing to say are left out, unless the step ends.
  // Several exchanges may be under way, and finish in any order.
  // Throws what the servers answer from Finish; then the exchange may begin anew.
  void Start(StepExchange* exchange);
  void Finish(StepExchange* exchange);
  void Run(StepExchange* exchange) {
    Start(exchange);
    Finish(exchange);
  }

  // Travels with the heartbeats.
  void SetProgress(uint64_t progress);

  struct Stats {
    uint64_t reconnects = 0, retries = 0;
    double waited_seconds = 0;  // for servers that were lost
    uint64_t unknown_lists = 0;  // times that a server did not have what was left out
  };
  const Stats& stats() const { return stats_; }

 private:
  struct Link {
    std::unique_ptr<Channel> channel;
    uint64_t life = 0;  // of the channel: calls of an earlier one are lost
    RecentLists lists;  // that the server has
    int unknown = 0;    // requests in this life that named others
  };
  Channel& ChannelOf(int server);
  // Calls `attempt` until it does not throw UnavailableError.
  template <typename Fn>
  void Persist(int server, const Fn& attempt);
  void Reconnect(int server, Deadline give_up);
  RecentLists* ListsOf(int server);
  void Send(StepExchange* exchange, int server);
  Reply WaitFor(StepExchange* exchange, int server);

  PsClientOptions options_;
  std::vector<Link> links_;
  uint64_t next_sequence_ = 1;
  bool joined_ = false;
  Stats stats_;
};

}  // namespace tributary::ps

#pragma once
// A task's side of its job's coordinator.
//
//   CoordinatorClient chief({.hello = {.role = "worker", .task = 1}, .find = ...});
//   chief.RegisterWorker();
//   while (const auto lease = chief.Take(clock)) { ...; chief.Done(lease->id, figures); }
//   const std::string error = chief.AwaitEnd();
//
// Calls may be held by the chief for as long as it takes; that it has died is noticed by
// the transport. A connection that breaks is made again and the call said again, until
// `patience` is over: then UnavailableError says that the chief is lost. To a worker a
// broken connection may mean that it was taken for dead: Take and Done then throw
// FailedPreconditionError ("fenced"), and RegisterWorker makes it somebody new.
//
// One thread at a time.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "distribute/coordinator/protocol.h"
#include "distribute/transport/transport.h"

namespace tributary::coordinator {

struct CoordinatorClientOptions {
  Hello hello;  // its generation is the client's own
  // Where the chief is now: asked at the start, and when it was lost. UnavailableError: not
  // known yet, ask again.
  std::function<std::string()> find;
  ChannelOptions channel;
  Millis patience{60'000};
};

class CoordinatorClient {
 public:
  // Connects. Throws UnavailableError when the chief is not there.
  explicit CoordinatorClient(CoordinatorClientOptions options);
  ~CoordinatorClient();

  // A parameter server that can be reached at `address`.
  RegisterServerReply RegisterServer(int shard, const std::string& address);
  std::vector<std::string> FindServers();  // by shard; "": not there yet
  // Throws UnavailableError when it is not there: PsClientOptions::find.
  std::string FindServer(int shard);

  // Waits until the chief is ready and has settled what an earlier life has left.
  RegisterWorkerReply RegisterWorker();
  uint64_t generation() const { return generation_; }  // 0: has not registered
  // The next steps (StepBoard::Take says what `clock` is); waits until there are some.
  // Empty: the job has ended.
  std::optional<Lease> Take(int64_t clock);
  void Done(uint64_t lease, std::span<const double> figures = {});
  void Raise(uint32_t bits);

  // Waits; what the chief says of the end. Empty: all is well.
  std::string AwaitEnd();
  StatusReply Status();

 private:
  std::string Call(uint16_t kind, const std::string& control, Millis timeout);
  void Connect();

  CoordinatorClientOptions options_;
  std::unique_ptr<Channel> channel_;
  Clock::time_point connected_at_;
  uint64_t generation_ = 0;
  bool met_ = false;  // the chief has answered before
};

}  // namespace tributary::coordinator

#pragma once
// The chief's service that the tasks of a parameter-server job meet at: where the servers
// are, who works, who does which steps, and when it is over.
//
//   Coordinator c({.address = "tcp://127.0.0.1:0", .servers = 2, .workers = 4, ...});
//   c.WaitForServers(Millis(60'000));   // then create the variables, ...
//   c.SetEvict(...);
//   c.SetReady();                       // workers may register now
//   c.Open(window);
//   while (!c.Await(Millis(1000)).complete) ...
//   c.End("");
//
// A worker whose connection is lost is fenced at once (kSplit), or when it has stayed away
// for `grace` (kShared); one that was silent for as long as the transport allows has had
// its time. The next Await settles it: the chief evicts it on all servers, what it has not
// pushed goes to others, and only then may it register again.
//
// One thread, the chief's, calls the public functions. Requests are handled on the
// transport's thread, which never waits.

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "distribute/coordinator/protocol.h"
#include "distribute/coordinator/step_board.h"
#include "distribute/transport/transport.h"

namespace tributary::coordinator {

struct CoordinatorOptions {
  std::string address = "tcp://127.0.0.1:0";
  Hello hello{.role = "chief"};
  ServerOptions server;   // its hello and observer are the coordinator's
  std::string job;        // its name
  std::string launch_id;  // empty: a random one
  int servers = 1;
  int workers = 1;        // expected
  Mode mode = Mode::kSplit;
  int64_t lease_steps = 16;
  Millis grace{5000};      // kShared: how long a lost worker may stay away
  Millis patience{60'000};  // with a job that has no worker left
  Millis farewell{3000};   // End waits so long for the goodbyes
};

class Coordinator {
 public:
  explicit Coordinator(CoordinatorOptions options);
  // Whoever still waits for an answer is told that the chief goes.
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  const std::string& address() const { return server_->address(); }
  const std::string& launch_id() const { return options_.launch_id; }

  // Throws UnavailableError naming the shards that did not come.
  void WaitForServers(Millis time);
  std::vector<std::string> servers() const;  // by shard; "": not there yet
  // Throws UnavailableError when it is not there. Any thread: PsClientOptions::find.
  std::string FindServer(int shard) const;

  // Evicts a worker on all servers and returns its clock on each (0 where it had never
  // joined). It may come back with `generation` at the lowest. Called from Await, with no
  // lock held; what it throws comes out of Await, and the next one tries again.
  using Evict = std::function<std::vector<int64_t>(uint32_t worker, uint64_t generation)>;
  void SetEvict(Evict evict);
  // Workers may register from now on.
  void SetReady();

  // As StepBoard's.
  void Open(const Window& window);
  void Close();

  struct Progress {
    int64_t done = 0;       // batches of the window
    bool complete = false;  // no window is open now
  };
  // Settles who is lost; then waits until `done` is another than the last time, the window
  // is complete or a request is raised, but no longer than `time`. Throws UnavailableError
  // naming the workers when the job has had none for `patience`.
  Progress Await(Millis time);
  // The element-wise sum of the figures since the last call; empty: none came.
  std::vector<double> TakeFigures();
  // The bits that workers have raised since the last call.
  uint32_t TakeRequests();
  std::vector<WorkerStatus> WorkerStates() const;
  // Servers that have registered again since the last call.
  std::vector<int> TakeRestarted();
  // What is handed out or done of the window is nobody's any more; all workers must
  // register again, once SetReady is called again.
  void Abandon();

  // The job is over, well or not: all are told so. Returns when they have said goodbye, or
  // after `farewell`.
  void End(const std::string& error);

 private:
  struct Worker {
    enum class State { kNew, kActive, kLost, kEvicting, kEvicted };
    State state = State::kNew;
    uint64_t generation = 0;
    uint64_t life = 0;          // of the process that has this generation
    uint64_t coming_life = 0;   // of the one that wants to register
    Responder registration;     // pending: held back
    Responder take;             // pending: there is nothing to do
    int64_t clock = 0;          // of `take`
    Clock::time_point given_up_at;  // kLost: then it is evicted
    int64_t steps = 0;
    uint32_t losses = 0;
  };
  struct Shard {
    std::string address;
    uint64_t life = 0;
    bool restarted = false;  // since TakeRestarted
  };
  using Lock = std::unique_lock<std::mutex>;

  // On the transport's thread (coordinator_requests.cc).
  void Handle(const Request& request, Responder responder);
  void OnPeer(const Hello& hello, PeerEvent event, const std::string& reason);
  void RegisterServer(const Request& request, Responder& responder);
  void RegisterWorker(const Request& request, Responder& responder);
  void HandleTake(const Request& request, Responder& responder);
  void HandleDone(const Request& request, Responder& responder);
  // The worker that a request comes from. Throws FailedPreconditionError: fenced.
  Worker& Current(const Request& request);

  // All with the mutex held.
  void Lose(uint32_t id, Worker* worker, const std::string& reason, Millis grace);
  void AnswerRegistration(uint32_t id, Worker* worker);
  void AnswerTakes();
  Deadline NextDue() const;
  bool AnyActive() const;
  StatusReply Status() const;

  void SettleLost(Lock& lock);
  void CheckAnyWorker() const;

  CoordinatorOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  StepBoard board_;
  std::vector<Shard> shards_;
  std::map<uint32_t, Worker> workers_;  // never erased
  // Of workers, by id and life of the process: a life may have a second connection before
  // the end of its first is noticed.
  std::map<std::pair<uint32_t, uint64_t>, int> connections_;
  int peers_ = 0;  // connections of anybody
  std::vector<Responder> awaiting_end_;
  Evict evict_;
  bool ready_ = false, ended_ = false, stopping_ = false;
  std::string end_error_;
  uint64_t last_generation_ = 0;
  std::vector<double> figures_;
  uint32_t requests_ = 0;
  bool request_is_new_ = false;  // Await has not returned since
  int64_t reported_ = 0;         // what Await has said last
  Clock::time_point alone_since_;  // not before this was there no worker
  std::unique_ptr<Server> server_;  // last: its thread uses all of the above
};

}  // namespace tributary::coordinator

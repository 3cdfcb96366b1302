#pragma once
// What the tasks of a job say to its chief's coordinator. A request and its reply carry
// one struct each, by cereal; none has a payload.
//
// A worker's requests carry its id (FrameHeader::worker, the hello's task) and the
// generation that it was given when it registered. Those of an earlier generation are
// answered with FailedPreconditionError ("fenced"): register again, as somebody new.
//
// The generation in the hello of a connection is another number: it tells the lives of
// processes apart, so that the coordinator knows whose connection was lost, and whether
// a registration is one that is said again.

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/errors.h"
#include "distribute/coordinator/step_board.h"
#include "distribute/transport/pack.h"

namespace tributary::coordinator {

inline constexpr const char* kWorkerRole = "worker";

enum MessageKind : uint16_t {
  kRegisterServer = 1,  // RegisterServerControl -> RegisterServerReply
  kFindServers,         // -> ServersReply
  kRegisterWorker,      // -> RegisterWorkerReply: held until the chief is ready for it
  kTake,                // TakeControl -> TakeReply: held until there is something to do
  kDone,                // DoneControl
  kRaise,               // RaiseControl
  kAwaitEnd,            // -> EndReply: held until the job has ended
  kStatus,              // -> StatusReply
};

struct RegisterServerControl {
  int32_t shard = 0;
  std::string address;
  template <class A>
  void serialize(A& a) {
    a(shard, address);
  }
};

struct RegisterServerReply {
  std::string launch_id;
  template <class A>
  void serialize(A& a) {
    a(launch_id);
  }
};

struct ServersReply {
  std::vector<std::string> addresses;  // by shard; "": not there yet
  template <class A>
  void serialize(A& a) {
    a(addresses);
  }
};

struct RegisterWorkerReply {
  uint64_t generation = 0;  // above all earlier ones, those of earlier launches as well
  int32_t workers = 0;      // expected in the job
  template <class A>
  void serialize(A& a) {
    a(generation, workers);
  }
};

struct TakeControl {
  int64_t clock = 0;  // StepBoard::Take
  template <class A>
  void serialize(A& a) {
    a(clock);
  }
};

struct TakeReply {
  bool finished = false;  // the job has ended: no more leases
  Lease lease;
  template <class A>
  void serialize(A& a) {
    a(finished, lease);
  }
};

struct DoneControl {
  uint64_t lease = 0;
  std::vector<double> figures;  // added to those of the others; all of one length, or none
  template <class A>
  void serialize(A& a) {
    a(lease, figures);
  }
};

struct RaiseControl {
  uint32_t bits = 0;  // what they mean is the chief's business: stop, save, ...
  template <class A>
  void serialize(A& a) {
    a(bits);
  }
};

struct EndReply {
  std::string error;  // "": all is well
  template <class A>
  void serialize(A& a) {
    a(error);
  }
};

struct WorkerStatus {
  uint32_t id = 0;
  uint64_t generation = 0;
  std::string state;  // "registering", "waiting", "working", "lost", "evicted"
  int64_t steps = 0;  // of its leases that are done
  Lease lease;        // id 0: none
  uint32_t losses = 0;
  template <class A>
  void serialize(A& a) {
    a(id, generation, state, steps, lease, losses);
  }
};

struct StatusReply {
  std::string job, launch_id;
  std::vector<std::string> servers;  // as ServersReply
  std::vector<WorkerStatus> workers;
  bool open = false;  // a window is; else `window` is the last one
  Window window;
  int64_t done = 0;
  template <class A>
  void serialize(A& a) {
    a(job, launch_id, servers, workers, open, window, done);
  }
};

using tributary::AsBytes;
using tributary::Pack;
using tributary::Unpack;

}  // namespace tributary::coordinator

#pragma once
// Asynchronous communication: one thread runs blocking calls in the order in
// which they were put in, and Work tells when one is done.
//
// A thread of blocking calls, because Open MPI's own non-blocking collectives
// progress only inside other MPI calls and are slower. It pays where a core is
// free. Enqueuing allocates nothing: the Work holds the request.

#include <condition_variable>
#include <exception>
#include <thread>

#include "distribute/comm/communicator.h"

namespace tributary {

class CommunicationQueue;

// The handle of one operation under way; reusable after Wait. Owned by the
// caller, who keeps it in place until it is done.
class Work {
 public:
  Work() = default;
  // Waits for the operation, without throwing.
  ~Work();
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  // True when nothing is under way (also before the first use).
  bool done() const noexcept;
  // kOk while under way and after success, else the code of the failure.
  Code status() const;
  // Returns when the operation succeeded; throws what it threw, or
  // DeadlineExceededError after `timeout` (0: the operation's own deadline).
  void Wait(Millis timeout = Millis{0});
  // Gives the whole job up (Communicator::Abort); Wait then throws.
  void Abort(const std::string& reason);

 private:
  friend class CommunicationQueue;
  enum class Kind { kAllReduce, kBroadcast, kReduceScatter, kBarrier };
  struct Request {
    Kind kind = Kind::kBarrier;
    DataRef data, output;
    ReduceOp op = ReduceOp::kSum;
    int root = 0;
    CallOptions options;
  };
  void WaitQuietly() noexcept;

  Request request_;
  Work* next_ = nullptr;
  CommunicationQueue* queue_ = nullptr;
  std::atomic<bool> pending_{false};
  std::exception_ptr error_;
  Code code_ = Code::kOk;
};

class CommunicationQueue {
 public:
  // `comm` must be used by nobody else (Split one off). Starts the thread.
  explicit CommunicationQueue(std::shared_ptr<Communicator> comm);
  // Finishes what is queued; on a failed job the rest ends with the failure.
  ~CommunicationQueue();

  // Each throws FailedPreconditionError when `work` is still under way. Memory
  // stays valid until the work is done.
  void AllReduce(DataRef data, ReduceOp op, Work* work, const CallOptions& options = {});
  void ReduceScatter(ConstDataRef input, DataRef output, ReduceOp op, Work* work,
                     const CallOptions& options = {});
  void Broadcast(DataRef data, int root, Work* work, const CallOptions& options = {});
  void Barrier(Work* work, const CallOptions& options = {});

  int rank() const { return comm_->rank(); }
  int size() const { return comm_->size(); }

 private:
  friend class Work;
  void Enqueue(Work* work);
  void Loop();
  void Execute(Work* work);

  std::shared_ptr<Communicator> comm_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  Work *head_ = nullptr, *tail_ = nullptr;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace tributary

#pragma once
// Steps that are handed out: where replicas come and go, a chief that does not train
// itself opens windows of an epoch, and workers take ranges of it. A strategy that works
// so gives its chief a StepServer and its workers a StepQueue.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tributary {

// Global batches [begin, end) of an epoch.
struct StepRange {
  int64_t epoch = 0, begin = 0, end = 0;
  int64_t first_step = 0;  // of the training, that of batch `begin`
  double learning_rate = -1;  // below 0: the optimizer's own, by its schedule
};

// A worker's side. One thread.
class StepQueue {
 public:
  virtual ~StepQueue() = default;
  // The next range to train on; waits until there is one. Empty: training is over.
  virtual std::optional<StepRange> Take() = 0;
  // All steps of the range are done and acknowledged; `figures` is what they add to the
  // loss and metrics of the epoch (Figures::State).
  virtual void Done(std::span<const double> figures) = 0;
  // One of the above or a step has failed: true when this worker may go on with Take, as somebody new (it had
  // been taken for dead, say). What it has not done is given to others.
  virtual bool Recover(const std::exception& error) = 0;
};

// The chief's side. One thread.
class StepServer {
 public:
  virtual ~StepServer() = default;
  // Hands out the batches of `window`. Not while another is open.
  virtual void Open(const StepRange& window) = 0;
  struct Progress {
    int64_t done = 0;       // batches of the window
    bool complete = false;  // nobody works on it any more; no window is open now
  };
  // Waits until more is done, at most for `milliseconds`. Throws UnavailableError when
  // there is nobody left to do it.
  virtual Progress Await(int64_t milliseconds) = 0;
  // Hands out no more: the window ends with what is under way.
  virtual void Close() = 0;
  // The sum of the figures that came since the last call; empty: none came.
  virtual std::vector<double> TakeFigures() = 0;
  // Bits of StepRequest that workers have raised since the last call.
  virtual uint32_t TakeRequests() = 0;
};

}  // namespace tributary

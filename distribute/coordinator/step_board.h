#pragma once
// Who does which steps of a window: what the chief hands out, and what becomes of it when
// a worker is lost.
//
// A state machine: no threads, no clocks, no network. Not thread-safe. A request that is
// said again (the reply was lost with a connection) gets the same answer again.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace tributary::coordinator {

// Global batches [begin, end) of an epoch.
struct Window {
  int64_t epoch = 0, begin = 0, end = 0;
  int64_t first_step = 0;  // of the training, that of batch `begin`
  double learning_rate = -1;  // what it means is the chief's and the workers' business
  template <class A>
  void serialize(A& a) {
    a(epoch, begin, end, first_step, learning_rate);
  }
};

// A part of a window that one worker does now.
struct Lease {
  uint64_t id = 0;  // 0: none
  int64_t epoch = 0, begin = 0, end = 0;
  int64_t first_step = 0;  // that of batch `begin`
  double learning_rate = -1;
  // done[s]: so many of its first batches were pushed to server s by somebody who is lost,
  // and must not be pushed there again. Empty: none to any.
  std::vector<int64_t> done;
  int64_t length() const { return end - begin; }
  template <class A>
  void serialize(A& a) {
    a(id, epoch, begin, end, first_step, learning_rate, done);
  }
};

enum class Mode : uint8_t {
  kSplit,   // async, bounded: each batch is done by one worker
  kShared,  // sync: every worker does its part of every batch
};

class StepBoard {
 public:
  // Throws InvalidArgumentError.
  StepBoard(Mode mode, int servers, int64_t lease_steps);

  // Throws FailedPreconditionError while a window is open, InvalidArgumentError for one
  // that ends before it begins.
  // kSplit: leases of this window are at most `lease_steps` long (0: what was said before).
  void Open(const Window& window, int64_t lease_steps = 0);
  // Hands out no more than others need. kSplit: what was lost is still handed out again;
  // kShared: all go on to the furthest batch that was handed out to anybody.
  void Close();

  // A worker comes. One that is there already begins a new life: what it had is forgotten
  // (kShared). Throws FailedPreconditionError when that would lose batches (kSplit).
  void Join(uint32_t worker);

  // What `worker` does next; empty: nothing for now. `clock` is
  //   kSplit   the steps that it has behind it on every server: its push of the lease's
  //            first batch has this number there
  //   kShared  the training step at which it stands
  // With a lease already and the same clock: that lease again. Throws
  // FailedPreconditionError: not joined, a lease of another clock is not done yet, a clock
  // before the window (kShared).
  std::optional<Lease> Take(uint32_t worker, int64_t clock);

  // All batches of the lease are pushed to all servers. Returns how many those were; 0:
  // that was known. Throws FailedPreconditionError for a lease that it does not have.
  int64_t Done(uint32_t worker, uint64_t lease);

  // A worker is gone and its pushes are no longer heard. `clocks`: what its clock has come
  // to on each server (kShared: not used). What is left of its lease goes to others.
  // Throws FailedPreconditionError (not joined), InvalidArgumentError (other servers).
  void Lost(uint32_t worker, std::span<const int64_t> clocks);

  // Batches of the window, or of the last one: kSplit those that are on all servers,
  // kShared those that all workers have behind them.
  int64_t done() const { return done_; }
  // Nobody works on it and nobody will; stays so until the next Open. kShared: not before
  // one worker at least has done its part, and those that have joined.
  bool complete() const { return !open_; }
  bool open() const { return open_; }

  const Window& window() const { return window_; }  // the last one, once it is complete
  // Null: none.
  const Lease* LeaseOf(uint32_t worker) const;

 private:
  struct Issued {
    Lease lease;
    int64_t clock = 0;
  };
  struct Worker {
    std::optional<Issued> issued;
    uint64_t last_done = 0;
    int64_t position = 0;  // kShared: the batches before it are done
  };
  Worker& Of(uint32_t worker);
  bool NextSplit(Lease* lease);
  bool NextShared(Worker* worker, int64_t clock, Lease* lease);
  int64_t limit() const { return closed_ ? furthest_ : window_.end; }
  Lease LeaseFrom(int64_t begin) const;
  // After every change: counts what all have done, notices that the window is complete.
  void Settle();

  Mode mode_;
  int servers_;
  int64_t lease_steps_;
  int64_t window_lease_ = 0;  // of the open window
  Window window_;
  bool open_ = false, closed_ = false;
  int64_t furthest_ = 0;  // the batches before it were handed out
  int64_t done_ = 0;
  uint64_t next_id_ = 1;
  std::deque<Lease> given_back_;  // kSplit; each with batches that some server lacks
  std::map<uint32_t, Worker> workers_;
};

}  // namespace tributary::coordinator

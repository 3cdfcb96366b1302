#pragma once
// The threads that share the loops of this process (core/base/parallel.h).
//
// A loop's ranges are the callers' plan and never depend on who runs them: range r belongs to
// worker r, whose core has what it used last time in its cache, and the caller takes range 0
// and then whatever no worker has begun. So a worker that the machine does not let run (other
// programs, fewer cores than threads) costs nothing but its help.
//
// Workers are made when they are first needed, look for work a while after each loop, and
// then sleep. They block all signals and end with the process. A forked child makes its own.

#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>

namespace tributary::internal {

class ThreadTeam {
 public:
  using RangeFn = void (*)(const void* body, int64_t begin, int64_t end);
  static constexpr int kMaxThreads = 256;

  // The process's.
  static ThreadTeam& Get();
  // Whether this thread is running a range: its own loops run inline.
  static bool InRange();

  // Runs range 0 .. ranges - 1 of [0, count), ranges in [2, kMaxThreads]; what the first body
  // threw is rethrown when all have ended. False, and nothing was done, while another thread's
  // loop has the team.
  bool TryRun(int64_t count, int ranges, RangeFn fn, const void* body);

 private:
  // A worker's place in one cache line: `state` is 4 x (number of the loop, which may wrap) + a
  // Phase. Whoever turns open into taken runs the range; the other fields may be read only then.
  // Four bytes have a futex of their own; who posts knows whether anybody sleeps on it.
  enum Phase : uint32_t { kOpen, kTaken, kDone };
  struct alignas(64) Seat {
    std::atomic<uint32_t> state{kDone};
    std::atomic<uint32_t> sleepers{0};
    RangeFn fn = nullptr;
    const void* body = nullptr;
    int64_t begin = 0, end = 0;
    bool manned = false;  // the owner's of busy_

    bool Take(uint32_t loop) {
      uint32_t open = 4 * loop + kOpen;
      return state.compare_exchange_strong(open, 4 * loop + kTaken, std::memory_order_acquire);
    }
    // What was written before is seen by whoever sees the new state.
    void Post(uint32_t now);
    // The next state that is not `seen`.
    uint32_t Await(uint32_t seen);
  };

  void Man(int seat);
  void Serve(Seat& seat);
  void RunSeat(Seat& seat);
  template <typename Fn>
  void Guard(const Fn& fn);

  std::atomic<bool> busy_{false};
  uint32_t loops_ = 0;
  std::array<Seat, kMaxThreads> seats_;  // the caller has none: [0] is not used
  std::mutex error_mutex_;
  std::exception_ptr error_;  // of the loop under way
};

}  // namespace tributary::internal

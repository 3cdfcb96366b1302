#pragma once
// What one process knows of the health of its job, and what it is waiting for.
//
// Everything that waits (barriers, receives, Work) looks at failed() and ends
// with Check(); whoever finds out that a rank is lost (a liveness monitor, a
// rank that aborts, a deadline) calls Fail. The first report is kept. Safe from
// any thread; failed() and NoteProgress() are one relaxed atomic access.

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace tributary {

using Clock = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;

class JobHealth {
 public:
  static constexpr int kUnknownRank = -1;

  // `rank` is the one at fault. Returns false when a failure was known already.
  bool Fail(int rank, const std::string& reason);
  bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }
  int failed_rank() const;
  std::string reason() const;
  // Throws UnavailableError with the reason once the job has failed.
  void Check() const;

  // Called at every step of real work: tells hung from busy.
  void NoteProgress() noexcept { progress_.fetch_add(1, std::memory_order_relaxed); }
  uint64_t progress() const noexcept { return progress_.load(std::memory_order_relaxed); }

  // Around what the training thread computes of a step: in between it waits for other
  // ranks in registered calls only, and does nothing else that may take long.
  void BeginStep() noexcept { in_step_.store(true, std::memory_order_relaxed); }
  void EndStep() noexcept {
    in_step_.store(false, std::memory_order_relaxed);
    steps_.fetch_add(1, std::memory_order_relaxed);
    NoteProgress();
  }
  bool in_step() const noexcept { return in_step_.load(std::memory_order_relaxed); }
  uint64_t steps() const noexcept { return steps_.load(std::memory_order_relaxed); }

  // Registers a call that can't be unwound from inside (a blocking MPI call), so
  // that a monitor sees when its deadline passes.
  class BlockingCall {
   public:
    // `what` must outlive the call: a literal.
    BlockingCall(JobHealth& health, const char* what, Clock::time_point deadline) noexcept;
    ~BlockingCall();
    BlockingCall(const BlockingCall&) = delete;
    BlockingCall& operator=(const BlockingCall&) = delete;

   private:
    void* slot_;  // null when all slots are taken: the call goes unwatched
  };
  // A registered call whose deadline has passed, if any: its `what`.
  std::optional<std::string> ExpiredCall(Clock::time_point now) const;
  // Milliseconds that the oldest registered call has been going on; 0: none is.
  int64_t BlockedMillis(Clock::time_point now) const;

  struct Slot {
    std::atomic<const char*> what{nullptr};
    std::atomic<int64_t> since_ns{0}, deadline_ns{0};
  };

 private:
  static constexpr int kSlots = 8;
  std::atomic<bool> failed_{false};
  std::atomic<uint64_t> progress_{0}, steps_{0};
  std::atomic<bool> in_step_{false};
  mutable std::mutex mutex_;
  int failed_rank_ = kUnknownRank;
  std::string reason_;
  std::array<Slot, kSlots> slots_;
};

}  // namespace tributary

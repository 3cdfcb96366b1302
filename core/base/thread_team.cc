#include "core/base/thread_team.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <chrono>
#include <new>
#include <string>
#include <thread>

#include "core/base/denormals.h"
#include "core/base/logging.h"

namespace tributary::internal {
namespace {

thread_local bool in_range = false;

// A step's next loop mostly follows within microseconds. After that the core is offered to
// whoever wants it, and in the end given up.
constexpr int kSpins = 1000;
constexpr auto kYields = std::chrono::milliseconds(1);

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// The next value of `state` that is not `seen`.
uint64_t Await(const std::atomic<uint64_t>& state, uint64_t seen) {
  for (int i = 0; i < kSpins; ++i) {
    const uint64_t now = state.load(std::memory_order_acquire);
    if (now != seen) return now;
    Pause();
  }
  const auto until = std::chrono::steady_clock::now() + kYields;
  do {
    sched_yield();
    const uint64_t now = state.load(std::memory_order_acquire);
    if (now != seen) return now;
  } while (std::chrono::steady_clock::now() < until);
  state.wait(seen, std::memory_order_acquire);
  return state.load(std::memory_order_acquire);
}

// Never destroyed: workers outlive static storage.
std::atomic<ThreadTeam*> team{nullptr};

}  // namespace

ThreadTeam& ThreadTeam::Get() {
  if (ThreadTeam* now = team.load(std::memory_order_acquire)) return *now;
  static std::once_flag once;
  std::call_once(once, [] {
    team.store(new ThreadTeam, std::memory_order_release);
    // The parent's workers are not in the child, and its team may be in the middle of a loop:
    // the child begins with an empty one, in the same place.
    pthread_atfork(nullptr, nullptr, [] {
      in_range = false;
      new (team.load(std::memory_order_relaxed)) ThreadTeam;
    });
  });
  return *team.load(std::memory_order_acquire);
}

bool ThreadTeam::InRange() { return in_range; }

template <typename Fn>
void ThreadTeam::Guard(const Fn& fn) {
  try {
    fn();
  } catch (...) {
    const std::lock_guard lock(error_mutex_);
    if (!error_) error_ = std::current_exception();
  }
}

bool ThreadTeam::TryRun(int64_t count, int ranges, RangeFn fn, const void* body) {
  if (busy_.exchange(true, std::memory_order_acquire)) return false;
  const uint64_t loop = ++loops_;
  for (int r = 1; r < ranges; ++r) {
    Seat& seat = seats_[static_cast<size_t>(r)];
    if (!seat.manned) Man(r);
    seat.fn = fn;
    seat.body = body;
    seat.begin = count * r / ranges;
    seat.end = count * (r + 1) / ranges;
    seat.state.store(4 * loop + kOpen, std::memory_order_release);
    seat.state.notify_one();
  }
  in_range = true;
  Guard([&] { fn(body, 0, count / ranges); });
  for (int r = 1; r < ranges; ++r) {
    Seat& seat = seats_[static_cast<size_t>(r)];
    if (seat.Take(loop)) RunSeat(seat);
  }
  in_range = false;
  for (int r = 1; r < ranges; ++r) {
    const Seat& seat = seats_[static_cast<size_t>(r)];
    while (seat.state.load(std::memory_order_acquire) != 4 * loop + kDone) {
      Await(seat.state, 4 * loop + kTaken);
    }
  }
  std::exception_ptr error = std::exchange(error_, nullptr);
  busy_.store(false, std::memory_order_release);
  if (error) std::rethrow_exception(error);
  return true;
}

void ThreadTeam::RunSeat(Seat& seat) {
  Guard([&] { seat.fn(seat.body, seat.begin, seat.end); });
  const uint64_t taken = seat.state.load(std::memory_order_relaxed);
  seat.state.store(taken - kTaken + kDone, std::memory_order_release);
  seat.state.notify_one();
}

void ThreadTeam::Man(int index) {
  Seat& seat = seats_[static_cast<size_t>(index)];
  seat.manned = true;
  sigset_t all, before;  // signals are the main thread's business
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  try {
    std::thread thread([this, &seat] { Serve(seat); });
    pthread_setname_np(thread.native_handle(), ("tributary-" + std::to_string(index)).c_str());
    thread.detach();
  } catch (const std::system_error& e) {
    LogWarning("[threads] can't make compute thread {}: {}; its part is done by others", index,
                e.what());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ThreadTeam::Serve(Seat& seat) {
  FlushDenormals();
  in_range = true;
  for (uint64_t state = seat.state.load(std::memory_order_acquire);;) {
    if (state % 4 == kOpen && seat.Take(state / 4)) RunSeat(seat);
    state = seat.state.load(std::memory_order_acquire);
    if (state % 4 != kOpen) state = Await(seat.state, state);
  }
}

}  // namespace tributary::internal

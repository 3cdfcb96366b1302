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

void ThreadTeam::Seat::Post(uint32_t now) {
  // Sequentially consistent, as in Await: either this sees the sleeper or it the new state.
  state.store(now, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst) > 0) state.notify_all();
}

uint32_t ThreadTeam::Seat::Await(uint32_t seen) {
  for (int i = 0; i < kSpins; ++i) {
    const uint32_t now = state.load(std::memory_order_acquire);
    if (now != seen) return now;
    Pause();
  }
  const auto until = std::chrono::steady_clock::now() + kYields;
  do {
    sched_yield();
    const uint32_t now = state.load(std::memory_order_acquire);
    if (now != seen) return now;
  } while (std::chrono::steady_clock::now() < until);
  sleepers.fetch_add(1, std::memory_order_seq_cst);
  state.wait(seen, std::memory_order_seq_cst);
  sleepers.fetch_sub(1, std::memory_order_relaxed);
  return state.load(std::memory_order_acquire);
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
  const uint32_t loop = ++loops_;
  for (int r = 1; r < ranges; ++r) {
    Seat& seat = seats_[static_cast<size_t>(r)];
    if (!seat.manned) Man(r);
    seat.fn = fn;
    seat.body = body;
    seat.begin = count * r / ranges;
    seat.end = count * (r + 1) / ranges;
    seat.Post(4 * loop + kOpen);
  }
  in_range = true;
  Guard([&] { fn(body, 0, count / ranges); });
  for (int r = 1; r < ranges; ++r) {
    Seat& seat = seats_[static_cast<size_t>(r)];
    if (seat.Take(loop)) RunSeat(seat);
  }
  in_range = false;
  for (int r = 1; r < ranges; ++r) {
    Seat& seat = seats_[static_cast<size_t>(r)];
    while (seat.state.load(std::memory_order_acquire) != 4 * loop + kDone) {
      seat.Await(4 * loop + kTaken);
    }
  }
  std::exception_ptr error = std::exchange(error_, nullptr);
  busy_.store(false, std::memory_order_release);
  if (error) std::rethrow_exception(error);
  return true;
}

void ThreadTeam::RunSeat(Seat& seat) {
  Guard([&] { seat.fn(seat.body, seat.begin, seat.end); });
  seat.Post(seat.state.load(std::memory_order_relaxed) - kTaken + kDone);
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
  for (uint32_t state = seat.state.load(std::memory_order_acquire);;) {
    if (state % 4 == kOpen && seat.Take(state / 4)) RunSeat(seat);
    state = seat.state.load(std::memory_order_acquire);
    if (state % 4 != kOpen) state = seat.Await(state);
  }
}

}  // namespace tributary::internal

#include "distribute/comm/node_shared/shared_barrier.h"

#include <sched.h>

#include <chrono>
#include <thread>

#include "core/base/strings.h"

namespace tributary {
namespace {

// A wait spins for as long as ranks with a core each are apart; a rank that has lost
// its core for a moment is waited for by yielding, since it may need this one.
constexpr auto kSpinFor = std::chrono::microseconds(30);
constexpr int kSpinsBetweenLooks = 32;
constexpr auto kYieldFor = Millis(5);   // then nap
constexpr auto kNap = std::chrono::microseconds(100);

int Cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

inline void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

size_t SharedBarrier::Bytes(int size) { return sizeof(Slot) * size; }

SharedBarrier::SharedBarrier(void* memory, int rank, std::vector<int> world_ranks,
                             std::shared_ptr<JobHealth> health, Millis timeout)
    : slots_(static_cast<Slot*>(memory)),
      rank_(rank),
      size_(static_cast<int>(world_ranks.size())),
      spins_(size_ <= Cores()),
      world_ranks_(std::move(world_ranks)),
      health_(std::move(health)),
      timeout_(timeout) {}

bool SharedBarrier::Arrived(uint64_t round) const {
  for (int r = 0; r < size_; ++r) {
    if (slots_[r].arrivals.load(std::memory_order_acquire) < round) return false;
  }
  return true;
}

void SharedBarrier::Wait() {
  const uint64_t round = ++round_;
  slots_[rank_].arrivals.store(round, std::memory_order_release);
  if (!Arrived(round) && !(spins_ && Spin(round))) WaitSlowly(round);
  health_->NoteProgress();
}

bool SharedBarrier::Spin(uint64_t round) const {
  const auto end = std::chrono::steady_clock::now() + kSpinFor;
  do {
    for (int i = 0; i < kSpinsBetweenLooks; ++i) {
      Pause();
      if (Arrived(round)) return true;
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

void SharedBarrier::WaitSlowly(uint64_t round) {
  const auto start = Clock::now();
  JobHealth::BlockingCall call(*health_, "shared barrier", start + timeout_ + Millis(1000));
  while (!Arrived(round)) {
    health_->Check();
    const auto waited = Clock::now() - start;
    if (waited > timeout_) TimeOut(round);
    if (waited > kYieldFor) {
      std::this_thread::sleep_for(kNap);
    } else {
      sched_yield();
    }
  }
}

void SharedBarrier::TimeOut(uint64_t round) {
  std::vector<std::string> missing;
  int first = JobHealth::kUnknownRank;
  for (int r = 0; r < size_; ++r) {
    if (slots_[r].arrivals.load(std::memory_order_acquire) >= round) continue;
    if (missing.empty()) first = world_ranks_[r];
    missing.push_back(std::to_string(world_ranks_[r]));
  }
  const std::string text = fmt::format("shared barrier: rank {} waited {} ms in vain for rank {}",
                                       world_ranks_[rank_], timeout_.count(), Join(missing, ", "));
  health_->Fail(first, text);
  throw DeadlineExceededError("[node_shared] {}", text);
}

}  // namespace tributary

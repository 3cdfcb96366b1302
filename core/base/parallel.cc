#include "core/base/parallel.h"

#include <sched.h>

#include <cstdlib>

#include "core/base/thread_team.h"

namespace tributary {
namespace {

using internal::ThreadTeam;

int CoresOfThisProcess() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

int WithinTheTeam(int threads) { return std::clamp(threads, 1, ThreadTeam::kMaxThreads); }

std::atomic<int>& ThreadCount() {
  static std::atomic<int> count = [] {
    int threads = CoresOfThisProcess();
    if (const char* text = std::getenv("TRIBUTARY_NUM_THREADS")) {
      const int wanted = std::atoi(text);
      if (wanted > 0) threads = wanted;
    }
    return WithinTheTeam(threads);
  }();
  return count;
}

}  // namespace

int NumThreads() { return ThreadCount().load(std::memory_order_relaxed); }

void SetNumThreads(int threads) { ThreadCount().store(WithinTheTeam(threads)); }

namespace internal {

int RangesFor(int64_t count, int64_t grain) {
  if (count <= grain) return 1;
  const int threads = NumThreads();
  if (threads == 1 || ThreadTeam::InRange()) return 1;
  return static_cast<int>(
      std::min<int64_t>(threads, (count + grain - 1) / std::max<int64_t>(grain, 1)));
}

void ParallelRanges(int64_t count, int ranges, RangeFn fn, const void* body) {
  if (!ThreadTeam::Get().TryRun(count, ranges, fn, body)) fn(body, 0, count);
}

}  // namespace internal
}  // namespace tributary

#include "core/base/parallel.h"

#include <omp.h>
#include <sched.h>

#include <cstdlib>

#include "core/base/denormals.h"

namespace tributary {
namespace {

int CoresOfThisProcess() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

std::atomic<int>& ThreadCount() {
  static std::atomic<int> count = [] {
    int threads = CoresOfThisProcess();
    if (const char* text = std::getenv("TRIBUTARY_NUM_THREADS")) {
      const int wanted = std::atoi(text);
      if (wanted > 0) threads = wanted;
    }
    omp_set_num_threads(threads);
    return threads;
  }();
  return count;
}

}  // namespace

int NumThreads() { return ThreadCount().load(std::memory_order_relaxed); }

void SetNumThreads(int threads) {
  threads = std::max(1, threads);
  ThreadCount().store(threads);
  omp_set_num_threads(threads);
}

namespace internal {

int RangesFor(int64_t count, int64_t grain) {
  if (count <= grain) return 1;
  const int threads = NumThreads();
  if (threads == 1 || omp_in_parallel()) return 1;
  return static_cast<int>(
      std::min<int64_t>(threads, (count + grain - 1) / std::max<int64_t>(grain, 1)));
}

void ParallelRanges(int64_t count, int ranges, RangeFn fn, const void* body) {
  std::exception_ptr error;
  std::mutex mutex;
#pragma omp parallel for num_threads(ranges) schedule(static, 1)
  for (int r = 0; r < ranges; ++r) {
    const int64_t begin = count * r / ranges;
    const int64_t end = count * (r + 1) / ranges;
    try {
      if (r > 0) FlushDenormals();  // the caller's own state is the caller's
      fn(body, begin, end);
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace internal
}  // namespace tributary

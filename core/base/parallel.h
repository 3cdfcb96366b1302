#pragma once
// The compute team: this process's threads for loops (core/base/thread_team.h). Background
// threads (input, files, network) never call this.

#include <cstdint>
#include <functional>

namespace tributary {

// Threads of the compute team, 1 to 256. The default is the cores that this
// process may run on; TRIBUTARY_NUM_THREADS or SetNumThreads override it.
int NumThreads();
void SetNumThreads(int threads);

// Calls body(begin, end) on disjoint ranges that cover [0, count), in parallel
// when count exceeds `grain`. Ranges depend on count, grain and NumThreads()
// only; who runs them does not. Inline (a call of the whole, no team) when one range suffices,
// inside another loop, or while another thread's loop has the team (several threads that compute
// at once have one core each). `body` may throw: the first
// exception is rethrown on the caller when all ranges have ended.
template <typename Body>
void ParallelFor(int64_t count, int64_t grain, const Body& body);

namespace internal {
using RangeFn = void (*)(const void* body, int64_t begin, int64_t end);
void ParallelRanges(int64_t count, int ranges, RangeFn fn, const void* body);
int RangesFor(int64_t count, int64_t grain);
}  // namespace internal

template <typename Body>
void ParallelFor(int64_t count, int64_t grain, const Body& body) {
  if (count <= 0) return;
  const int ranges = internal::RangesFor(count, grain);
  if (ranges <= 1) {
    body(int64_t{0}, count);
    return;
  }
  internal::ParallelRanges(
      count, ranges,
      [](const void* b, int64_t begin, int64_t end) {
        (*static_cast<const Body*>(b))(begin, end);
      },
      &body);
}

}  // namespace tributary

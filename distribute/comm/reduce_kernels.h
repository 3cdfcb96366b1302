#pragma once
// Elementwise reductions of several sources, in the order given.

#include "distribute/comm/communicator.h"

namespace tributary {

// target[i] = sources[0][i] op sources[1][i] op ..., evaluated left to right, then
// times 1/divisor for kMean. `target` may be any one of the sources; apart from
// that nothing overlaps. A compile-time number of sources is used up to 8: a
// run-time inner loop does not vectorise.
void ReduceSources(DType dtype, ReduceOp op, void* target, const void* const* sources,
                   int num_sources, int64_t count, int64_t mean_divisor = 1);

}  // namespace tributary

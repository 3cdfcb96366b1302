#pragma once
// The kernel behind GatherV2 and ResourceGather.

#include <memory>

#include "core/graph/kernel.h"

namespace tributary {

// in[0]: [batch, outer, limit, row], in[1]: indices [batch, count],
// out[0]: [batch, outer, count, row].
struct GatherRows {
  const char* op;
  int64_t batch = 1, outer = 1, limit = 0, count = 0;
  size_t row_bytes = 0;
};

// Launch throws InvalidArgumentError for an index outside of [0, limit).
std::unique_ptr<Kernel> MakeGatherRows(const GatherRows& rows, DType index_dtype);

// Throws InvalidArgumentError naming the position and the range.
[[noreturn]] void ThrowIndexOutOfRange(const char* op, int64_t position, int64_t index,
                                       int64_t limit);

}  // namespace tributary

#pragma once
// Filling arrays from a Philox stream. Element i depends on (stream, i) only, so
// ranges may be filled by any number of threads.

#include <cstdint>
#include <vector>

#include "core/tensor/dtype.h"

namespace tributary {

struct PhiloxStream {
  uint64_t key = 0;
  uint64_t counter_low = 0, counter_high = 0;
};

enum class Distribution { kUniform, kNormal, kTruncatedNormal };

// float32, float64, float16 or bfloat16 (computed as float32). Throws
// UnimplementedError for other dtypes.
void FillRandom(Distribution distribution, DType dtype, const PhiloxStream& stream, void* out,
                int64_t count);

// Integers in [low, high), int32 or int64. Modulo bias is at most
// (high - low) / 2^64.
void FillRandomInt(DType dtype, const PhiloxStream& stream, int64_t low, int64_t high,
                   void* out, int64_t count);

}  // namespace tributary

#pragma once
// Filling arrays with random numbers: element i is a function of (key, counter, i).
// Values are TensorFlow's (tf.random.stateless_*, with the algorithm Philox), up to
// rounding of its logarithm and sine.

#include <cstdint>

#include "core/graph/kernel.h"

namespace tributary {

enum class Distribution { kUniform, kNormal, kTruncatedNormal };

// Where a stream starts. A stream has 2^128 blocks of four 32-bit words.
struct PhiloxState {
  uint64_t key = 0;
  uint64_t counter[2] = {0, 0};
};

// Blocks that `count` elements use up.
uint64_t PhiloxBlocks(Distribution distribution, DType dtype, int64_t count);
// `blocks` further.
PhiloxState Advanced(PhiloxState state, uint64_t blocks);

// float32, float64, float16, bfloat16.
void FillRandom(Distribution distribution, const PhiloxState& state, DType dtype, void* out,
                int64_t count);
// Integers in [low, high), int32 or int64; low < high.
void FillRandomInts(const PhiloxState& state, DType dtype, int64_t low, int64_t high, void* out,
                    int64_t count);

}  // namespace tributary

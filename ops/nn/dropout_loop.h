#pragma once
// Dropout from a counter-based generator: element i of the tensor takes word
// (offset + i) of the Philox stream (seed, step).

#include <cstdint>

namespace tributary {

struct DropoutStream {
  uint64_t seed = 0;
  uint64_t step = 0;
  uint64_t offset = 0;  // of element 0
};

// y = x / (1 - rate) where the element's uniform number is at least `rate`, else 0.
// Parallel; y may be x.
void RunDropout(const DropoutStream& stream, float rate, const float* x, float* y,
                int64_t count);

}  // namespace tributary

#pragma once
// Handwritten-like digits from a generator, for where MNIST is not to be had:
// strokes with jittered control points, a random affine map, pen width and noise.
// Digit i is a pure function of (seed, i).

#include <cstdint>

#include "core/tensor/tensor.h"

namespace tributary::data {

struct Digits {
  Tensor images;  // uint8 (count, 28, 28)
  Tensor labels;  // int64 (count)
};

// Digits [first, first + count). Runs on the compute team.
Digits GenerateDigits(int64_t first, int64_t count, uint64_t seed);

}  // namespace tributary::data

#pragma once
// Inputs for OpSample: distinct, smooth, away from the kinks of relu and max.

#include <cmath>
#include <numeric>

#include "core/tensor/tensor.h"

namespace tributary {

// sin(step), sin(2 step), ...
inline Tensor Wave(const Shape& shape, float step, float scale = 1.0f, float shift = 0.0f) {
  Tensor t = Tensor::Empty(DType::kFloat32, shape);
  for (int64_t i = 0; i < t.NumElements(); ++i) {
    t.mutable_data<float>()[i] = scale * std::sin(step * (i + 1)) + shift;
  }
  return t;
}

// A permutation of equally spaced values in (-1, 1), none of them near another or 0.
inline Tensor Scattered(const Shape& shape, int64_t stride = 7) {
  Tensor t = Tensor::Empty(DType::kFloat32, shape);
  const int64_t n = t.NumElements();
  while (n > 0 && std::gcd(stride, n) != 1) ++stride;
  for (int64_t i = 0; i < n; ++i) {
    t.mutable_data<float>()[i] = (2.0f * (i * stride % n) + 1.0f) / n - 1.0f + 0.3f / n;
  }
  return t;
}

}  // namespace tributary

#pragma once
// Numbers that are the same here and in the Python that made the expected values:
// ((i * mul) mod m) * scale - offset.

#include <gtest/gtest.h>

#include <vector>

#include "core/tensor/tensor.h"

namespace tributary::testing {

inline Tensor Ramp(const Shape& shape, int64_t mul, int64_t mod, float scale, float offset) {
  Tensor t = Tensor::Empty(DType::kFloat32, shape);
  float* data = t.mutable_data<float>();
  for (int64_t i = 0; i < t.NumElements(); ++i) {
    data[i] = static_cast<float>((i * mul) % mod) * scale - offset;
  }
  return t;
}
// Inputs in [-1, 1] and weights in [-0.8, 0.8].
inline Tensor X(const Shape& shape) { return Ramp(shape, 7919, 101, 0.02f, 1.0f); }
inline Tensor W(const Shape& shape) { return Ramp(shape, 31, 17, 0.1f, 0.8f); }

inline void ExpectNear(const Tensor& actual, const std::vector<float>& expected,
                       double tolerance = 1e-5) {
  ASSERT_EQ(actual.NumElements(), static_cast<int64_t>(expected.size())) << actual.ToString();
  const auto values = actual.values<float>();
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(values[i], expected[i], tolerance * (1 + std::abs(expected[i])))
        << "element " << i << " of " << actual.ToString();
  }
}

}  // namespace tributary::testing

#pragma once
// Sample inputs of elementwise ops, float64 so that numeric gradients are sharp.

#include "core/graph/op.h"

namespace tributary {

// Values away from zero and from integers, where many functions have kinks.
inline Tensor AnySample() {
  return Tensor::FromVector<double>({-2.3, -1.4, -0.7, 0.3, 0.8, 1.6, 2.2}, {7});
}
inline Tensor PositiveSample() {
  return Tensor::FromVector<double>({0.1, 0.3, 0.8, 1.7, 2.6, 4.4}, {2, 3});
}
// Second operands for AnySample: no ties, no whole quotients.
inline Tensor OtherSample() {
  return Tensor::FromVector<double>({1.3, -0.9, 0.57, 2.7, -1.85}, {5});
}
// Inside of (-1, 1).
inline Tensor UnitSample() {
  return Tensor::FromVector<double>({-0.9, -0.4, -0.1, 0.2, 0.5, 0.85}, {3, 2});
}
// The same values in another dtype.
Tensor SampleAs(const Tensor& sample, DType dtype);

// One operand: the sample, its float32 form, and nothing.
std::vector<OpSample> UnarySamples(const Tensor& x);
// Two operands: equal shapes, scalar, row, column, both spread, empty; float64, and
// float32 once. `b` is drawn from the values of `b_values`.
std::vector<OpSample> BinarySamples(const Tensor& a_values, const Tensor& b_values);

}  // namespace tributary

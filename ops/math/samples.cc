#include "ops/math/samples.h"

namespace tributary {
namespace {

// The first elements of `values`, over and over, in this shape.
Tensor Spread(const Tensor& values, const Shape& shape, int shift = 0) {
  Tensor t = Tensor::Empty(DType::kFloat64, shape);
  for (int64_t i = 0; i < t.NumElements(); ++i) {
    t.mutable_data<double>()[i] = values.data<double>()[(i + shift) % values.NumElements()];
  }
  return t;
}

}  // namespace

Tensor SampleAs(const Tensor& sample, DType dtype) {
  Tensor t = Tensor::Empty(dtype, sample.shape());
  DispatchPlain(dtype, "sample", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < t.NumElements(); ++i) {
      const double value = sample.data<double>()[i];
      if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        t.mutable_data<T>()[i] = T(static_cast<float>(value));
      } else {
        t.mutable_data<T>()[i] = static_cast<T>(value);
      }
    }
  });
  return t;
}

std::vector<OpSample> UnarySamples(const Tensor& x) {
  return {{{x}},
          {{SampleAs(Spread(x, {37}), DType::kFloat32)}},
          {{SampleAs(x, DType::kHalf)}, {}, {}, 0.1},
          {{Tensor::Zeros(DType::kFloat64, {0, 3})}}};
}

std::vector<OpSample> BinarySamples(const Tensor& a, const Tensor& b) {
  const auto pair = [&](const Shape& sa, const Shape& sb) {
    return OpSample{{Spread(a, sa), Spread(b, sb, 2)}};
  };
  std::vector<OpSample> samples = {
      pair({2, 3}, {2, 3}),       pair({2, 3}, {}),        pair({}, {2, 3}),
      pair({2, 3}, {3}),          pair({2, 1}, {2, 3}),    pair({2, 1}, {1, 3}),
      pair({2, 1, 2}, {3, 1}),    pair({0, 3}, {3}),       pair({}, {})};
  samples.push_back({{SampleAs(Spread(a, {5, 19}), DType::kFloat32),
                      SampleAs(Spread(b, {19}, 1), DType::kFloat32)}});
  return samples;
}

}  // namespace tributary

// Cumsum, Cumprod: running totals along an axis.

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/constant_value.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/number.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

template <bool kProduct, typename T>
void Accumulate(const T* x, T* y, int64_t n, int64_t stride, bool exclusive, bool reverse) {
  using Acc = ComputeType<T>;
  Acc total = kProduct ? Acc(1) : Acc(0);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = (reverse ? n - 1 - i : i) * stride;
    const Acc value = Load(x[at]);
    if (exclusive) y[at] = T(total);
    total = kProduct ? Mul(total, value) : Add(total, value);
    if (!exclusive) y[at] = T(total);
  }
}

template <bool kProduct>
std::unique_ptr<Kernel> MakeCumulative(PrepareContext& c) {
  const Shape& shape = c.in_shape(0);
  const int axis = NormalizeAxis(c.constant_ints(1)[0], shape.rank(), c.op());
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (i < axis) outer *= shape[i];
    if (i > axis) inner *= shape[i];
  }
  const int64_t n = shape[axis];
  const bool exclusive = c.attr<bool>("exclusive"), reverse = c.attr<bool>("reverse");
  return DispatchNumber(c.in_dtype(0), c.op().c_str(), [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([=](const LaunchArgs& args) {
      ParallelFor(outer * inner, 1 + 16384 / std::max<int64_t>(n, 1),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t i = begin; i < end; ++i) {
                      const int64_t at = i / inner * n * inner + i % inner;
                      Accumulate<kProduct>(static_cast<const T*>(args.in[0]) + at,
                                           static_cast<T*>(args.out[0]) + at, n, inner,
                                           exclusive, reverse);
                    }
                  });
    }));
  });
}

void CumulativeShape(InferenceContext& c) {
  const auto axis = ops::ConstantInt(c, 1);
  if (axis && !c.shape(0).unknown_rank()) NormalizeAxis(*axis, c.shape(0).rank(), c.op());
  c.set_output(0, c.shape(0));
}

Tensor Run(const char* op, const Tensor& x, const Tensor& axis, bool exclusive, bool reverse) {
  return Execute1(op, {x, axis}, {{"exclusive", exclusive}, {"reverse", reverse}});
}

std::vector<OpSample> CumulativeSamples() {
  const Tensor x = Tensor::FromVector<double>({1, 2, -3, 4, 5, 6, 7, -8, 9}, {3, 3});
  return {{{x, Tensor(0)}},
          {{x, Tensor(-1)}, {{"exclusive", true}}},
          {{x, Tensor(1)}, {{"reverse", true}}},
          {{x, Tensor(0)}, {{"reverse", true}, {"exclusive", true}}}};
}

Grads CumsumGradient(const GradContext& g) {
  return {Run("Cumsum", g.grad(), g.input(1), g.attr<bool>("exclusive"),
              !g.attr<bool>("reverse")),
          {}};
}

// As TensorFlow has it; NaN where x is zero.
Grads CumprodGradient(const GradContext& g) {
  const Tensor total = Run("Cumsum", ops::Mul(g.output(), g.grad()), g.input(1),
                           g.attr<bool>("exclusive"), !g.attr<bool>("reverse"));
  return {ops::Div(total, g.input(0)), {}};
}

}  // namespace

#define TRB_CUMULATIVE(Name, product, gradient)                                             \
  REGISTER_OP(#Name)                                                                        \
      .Input("x: T")                                                                        \
      .Input("axis: Tidx")                                                                  \
      .Output("out: T")                                                                     \
      .Attr("exclusive: bool = false")                                                      \
      .Attr("reverse: bool = false")                                                        \
      .Attr("T: {float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8}")   \
      .Attr("Tidx: {int32, int64} = int32")                                                 \
      .Shape(CumulativeShape)                                                               \
      .Gradient(gradient)                                                                   \
      .Samples(CumulativeSamples);                                                          \
  REGISTER_KERNEL(#Name, DeviceType::kCpu, NumberTypes(), MakeCumulative<product>);         \
  Tensor ops::Name(const Tensor& x, int64_t axis, bool exclusive, bool reverse) {           \
    return Run(#Name, x, Tensor(static_cast<int32_t>(axis)), exclusive, reverse);           \
  }

TRB_CUMULATIVE(Cumsum, false, CumsumGradient)
TRB_CUMULATIVE(Cumprod, true, CumprodGradient)

}  // namespace tributary

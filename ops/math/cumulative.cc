// Cumsum, Cumprod: running totals along an axis. _ExclusiveScan: what their gradients need.

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
  using Acc = TotalType<T>;
  Acc total = kProduct ? Acc(1) : Acc(0);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = (reverse ? n - 1 - i : i) * stride;
    const Acc value = Load(x[at]);
    if (exclusive) y[at] = T(total);
    total = kProduct ? Mul(total, value) : Add(total, value);
    if (!exclusive) y[at] = T(total);
  }
}

// Lines of n elements, `inner` apart.
struct Lines {
  int64_t outer = 1, n = 1, inner = 1;

  // Calls fn(offset of the first element) for every line.
  void ForEach(auto fn) const {
    ParallelFor(outer * inner, 1 + 16384 / std::max<int64_t>(n, 1),
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) fn(i / inner * n * inner + i % inner);
                });
  }
};

Lines LinesAlong(const Shape& shape, int64_t axis_value, const std::string& op) {
  const int axis = NormalizeAxis(axis_value, shape.rank(), op);
  Lines lines;
  for (int i = 0; i < shape.rank(); ++i) {
    if (i < axis) lines.outer *= shape[i];
    if (i > axis) lines.inner *= shape[i];
  }
  lines.n = shape[axis];
  return lines;
}

template <bool kProduct>
std::unique_ptr<Kernel> MakeCumulative(PrepareContext& c) {
  const Lines lines = LinesAlong(c.in_shape(0), c.constant_ints(1)[0], c.op());
  const bool exclusive = c.attr<bool>("exclusive"), reverse = c.attr<bool>("reverse");
  return DispatchNumber(c.in_dtype(0), c.op().c_str(), [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([=](const LaunchArgs& args) {
      lines.ForEach([&](int64_t at) {
        Accumulate<kProduct>(static_cast<const T*>(args.in[0]) + at,
                             static_cast<T*>(args.out[0]) + at, lines.n, lines.inner, exclusive,
                             reverse);
      });
    }));
  });
}

// y is 0 at the first element, then scale * y + offset of the element before.
std::unique_ptr<Kernel> MakeScan(PrepareContext& c) {
  const Lines lines = LinesAlong(c.in_shape(0), c.constant_ints(2)[0], c.op());
  const bool reverse = c.attr<bool>("reverse");
  return DispatchFloat(c.in_dtype(0), c.op().c_str(), [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([=](const LaunchArgs& args) {
      const T* scale = static_cast<const T*>(args.in[0]);
      const T* offset = static_cast<const T*>(args.in[1]);
      T* y = static_cast<T*>(args.out[0]);
      lines.ForEach([=](int64_t line) {
        ComputeType<T> total = 0;
        for (int64_t i = 0; i < lines.n; ++i) {
          const int64_t at = line + (reverse ? lines.n - 1 - i : i) * lines.inner;
          y[at] = T(total);
          total = Load(scale[at]) * total + Load(offset[at]);
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

// With no, one and two zeros in a line.
std::vector<OpSample> CumprodSamples() {
  std::vector<OpSample> samples = CumulativeSamples();
  const Tensor x = Tensor::FromVector<double>(
      {2, 0, 3, 1.5, 0, -1, 0, 2, 0.5, -2, 3, 1, 0, 0, 1.2, 0.7}, {4, 4});
  for (const bool exclusive : {false, true}) {
    for (const bool reverse : {false, true}) {
      samples.push_back({{x, Tensor(1)}, {{"exclusive", exclusive}, {"reverse", reverse}}});
    }
  }
  return samples;
}

Grads CumsumGradient(const GradContext& g) {
  return {Run("Cumsum", g.grad(), g.input(1), g.attr<bool>("exclusive"),
              !g.attr<bool>("reverse")),
          {}};
}

Tensor Scan(const Tensor& scale, const Tensor& offset, const Tensor& axis, bool reverse) {
  return Execute1("_ExclusiveScan", {scale, offset, axis}, {{"reverse", reverse}});
}

// Element i enters the products from i on: the product of all before i, times what dy has
// of the products of those after i. Nothing is divided, so that zeros are exact, also in
// the gradient of this.
Grads CumprodGradient(const GradContext& g) {
  const Tensor &x = g.input(0), &axis = g.input(1), &dy = g.grad();
  const bool reverse = g.attr<bool>("reverse");
  if (g.attr<bool>("exclusive")) {
    return {ops::Mul(g.output(), Scan(x, dy, axis, !reverse)), {}};
  }
  const Tensor after = ops::Add(dy, Scan(x, ops::Mul(x, dy), axis, !reverse));
  return {ops::Mul(Run("Cumprod", x, axis, true, reverse), after), {}};
}

Grads ScanGradient(const GradContext& g) {
  const Tensor offset = Scan(g.input(0), g.grad(), g.input(2), !g.attr<bool>("reverse"));
  return {ops::Mul(offset, g.output()), offset, {}};
}

void ScanShape(InferenceContext& c) {
  const Shape shape = ops::MergeShapes(c, c.shape(0), c.shape(1));
  const auto axis = ops::ConstantInt(c, 2);
  if (axis && !shape.unknown_rank()) NormalizeAxis(*axis, shape.rank(), c.op());
  c.set_output(0, shape);
}

REGISTER_OP("_ExclusiveScan")
    .Input("scale: T")
    .Input("offset: T")
    .Input("axis: Tidx")
    .Output("y: T")
    .Attr("reverse: bool = false")
    .Attr("T: {float32, float64, float16, bfloat16}")
    .Attr("Tidx: {int32, int64} = int32")
    .Shape(ScanShape)
    .Gradient(ScanGradient)
    .Samples([] {
      const Tensor a = Tensor::FromVector<double>({1, 0, -0.5, 2, 1.5, 0.3}, {2, 3});
      const Tensor b = Tensor::FromVector<double>({0.7, 1, 0, -1.2, 0.4, 2}, {2, 3});
      return std::vector<OpSample>{{{a, b, Tensor(1)}},
                                   {{a, b, Tensor(0)}, {{"reverse", true}}},
                                   {{a, b, Tensor(int64_t{-1})}, {{"reverse", true}}}};
    });
REGISTER_KERNEL("_ExclusiveScan", DeviceType::kCpu, FloatTypes(), MakeScan);

}  // namespace

#define TRB_CUMULATIVE(Name, product, gradient, samples)                                    \
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
      .Samples(samples);                                                                    \
  REGISTER_KERNEL(#Name, DeviceType::kCpu, NumberTypes(), MakeCumulative<product>);         \
  Tensor ops::Name(const Tensor& x, int64_t axis, bool exclusive, bool reverse) {           \
    return Run(#Name, x, Tensor(static_cast<int32_t>(axis)), exclusive, reverse);           \
  }

TRB_CUMULATIVE(Cumsum, false, CumsumGradient, CumulativeSamples)
TRB_CUMULATIVE(Cumprod, true, CumprodGradient, CumprodSamples)

}  // namespace tributary

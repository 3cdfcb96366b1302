// ClipByValue: limits every element to [min, max].

#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/broadcast.h"
#include "ops/math/number.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

void ClipShape(InferenceContext& c) {
  const Shape& shape = c.shape(0);
  for (int i = 1; i < 3; ++i) {
    const Shape& bound = c.shape(i);
    if (!bound.unknown_rank() && bound.rank() != 0) ops::MergeShapes(c, shape, bound);
  }
  c.set_output(0, shape);
}

std::unique_ptr<Kernel> MakeClip(PrepareContext& c) {
  c.allow_in_place(0, 0);
  const Broadcast broadcast(c.out_shape(0), {c.in_shape(0), c.in_shape(1), c.in_shape(2)});
  return DispatchNumber(c.in_dtype(0), "ClipByValue", [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([broadcast](const LaunchArgs& args) {
      ForEachRun(broadcast, 1 << 14, [&](const int64_t* from, int64_t at, int64_t n) {
        const T* x = static_cast<const T*>(args.in[0]) + from[0];
        const T* low = static_cast<const T*>(args.in[1]) + from[1];
        const T* high = static_cast<const T*>(args.in[2]) + from[2];
        T* y = static_cast<T*>(args.out[0]) + at;
        const int64_t ls = broadcast.dense[1], hs = broadcast.dense[2];
        for (int64_t i = 0; i < n; ++i) {
          const auto v = Load(x[i]), l = Load(low[i * ls]), h = Load(high[i * hs]);
          // NaN comes through.
          y[i] = T(v < l ? l : v > h ? h : v);
        }
      });
    }));
  });
}

Grads ClipGradient(const GradContext& g) {
  const Tensor &x = g.input(0), &low = g.input(1), &high = g.input(2);
  const Tensor zero = ops::ScalarLike(x, 0);
  const Tensor below = ops::Less(x, low);
  const Tensor above = ops::Greater(x, high);
  return {ops::Select(ops::LogicalOr(below, above), zero, g.grad()),
          ops::UnbroadcastLike(ops::Select(below, g.grad(), zero), low, x),
          ops::UnbroadcastLike(ops::Select(above, g.grad(), zero), high, x)};
}

}  // namespace

REGISTER_OP("ClipByValue")
    .Input("t: T")
    .Input("clip_value_min: T")
    .Input("clip_value_max: T")
    .Output("output: T")
    .Attr("T: {float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8}")
    .Shape(ClipShape)
    .Gradient(ClipGradient)
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({-2, -0.5, 0.2, 0.6, 1.5, 3}, {2, 3});
      const Tensor low = Tensor::FromVector<double>({-3, 0, 0, 1, 1, 1}, {2, 3});
      return std::vector<OpSample>{{{x, Tensor(-1.0), Tensor(1.0)}},
                                   {{x, low, Tensor(2.0)}},
                                   {{Tensor::FromVector<int32_t>({1, 9}), Tensor(2), Tensor(5)}}};
    });
REGISTER_KERNEL("ClipByValue", DeviceType::kCpu, NumberTypes(), MakeClip);

namespace ops {

Tensor ClipByValue(const Tensor& t, const Tensor& min, const Tensor& max) {
  return Execute1("ClipByValue", {t, min, max});
}

}  // namespace ops
}  // namespace tributary

// SelectV2: one of two values, element by element; all three operands broadcast.

#include "core/runtime/execute.h"
#include "ops/array_ops.h"
#include "ops/math/broadcast.h"
#include "ops/math/samples.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

template <typename T>
void SelectRun(const bool* c, const T* t, const T* e, T* y, int64_t n, const bool* dense) {
  const int64_t ct = dense[0], tt = dense[1], et = dense[2];
  if (ct && tt && et) {
    for (int64_t i = 0; i < n; ++i) y[i] = c[i] ? t[i] : e[i];
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = c[i * ct] ? t[i * tt] : e[i * et];
  }
}

std::unique_ptr<Kernel> MakeSelect(PrepareContext& c) {
  const Shape& result = c.out_shape(0);
  for (int i = 1; i < 3; ++i) {
    if (c.in_shape(i) == result) c.allow_in_place(0, i);
  }
  const Broadcast broadcast(result, {c.in_shape(0), c.in_shape(1), c.in_shape(2)});
  return DispatchPlain(c.in_dtype(1), "SelectV2", [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([broadcast](const LaunchArgs& args) {
      ForEachRun(broadcast, 1 << 14, [&](const int64_t* from, int64_t at, int64_t n) {
        SelectRun(static_cast<const bool*>(args.in[0]) + from[0],
                  static_cast<const T*>(args.in[1]) + from[1],
                  static_cast<const T*>(args.in[2]) + from[2],
                  static_cast<T*>(args.out[0]) + at, n, broadcast.dense);
      });
    }));
  });
}

Grads SelectGradient(const GradContext& g) {
  const Tensor& condition = g.input(0);
  const Tensor zero = ops::ScalarLike(g.grad(), 0);
  return {{},
          ops::UnbroadcastLike(ops::Select(condition, g.grad(), zero), g.input(1), g.output()),
          ops::UnbroadcastLike(ops::Select(condition, zero, g.grad()), g.input(2), g.output())};
}

}  // namespace

REGISTER_OP("SelectV2")
    .Input("condition: bool")
    .Input("t: T")
    .Input("e: T")
    .Output("output: T")
    .Attr("T: type")
    .Shape([](InferenceContext& c) {
      c.set_output(0, BroadcastShapes(c.shape(0), BroadcastShapes(c.shape(1), c.shape(2), c.op()),
                                      c.op()));
    })
    .Gradient(SelectGradient)
    .Samples([] {
      const Tensor c = Tensor::FromVector<bool>({true, false, true}, {3});
      const Tensor t = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6}, {2, 3});
      const Tensor e = Tensor::FromVector<double>({-1, -2}, {2, 1});
      return std::vector<OpSample>{
          {{c, t, e}},
          {{c, Tensor(1.5), Tensor::FromVector<double>({7, 8, 9})}},
          {{Tensor(true), t, Tensor(0.0)}},
          {{c, Tensor::FromVector<float>({1, 2, 3}), Tensor::FromVector<float>({4, 5, 6})}}};
    });
REGISTER_KERNEL("SelectV2", DeviceType::kCpu, {}, MakeSelect);

namespace ops {

Tensor Select(const Tensor& condition, const Tensor& t, const Tensor& e) {
  return Execute1("SelectV2", {condition, t, e});
}

}  // namespace ops
}  // namespace tributary

// Derivatives in terms of the output, as ops of their own: one pass over memory, and
// fewer nodes. Inputs: y, the output, and dy; output z = dy * slope(y).

#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/elementwise.h"
#include "ops/math/samples.h"
#include "ops/math_ops.h"

// gradient: of y, in terms of y, dy, z and g, the gradient of z.
#define TRB_UNARY_GRAD(Name, formula, gradient)                                          \
  namespace {                                                                            \
  struct Name##Fn {                                                                      \
    template <typename T>                                                                \
    T operator()(T y, T dy) const {                                                      \
      return formula;                                                                    \
    }                                                                                    \
  };                                                                                     \
  Tensor Name##Gradient([[maybe_unused]] const Tensor& y, [[maybe_unused]] const Tensor& dy, \
                        [[maybe_unused]] const Tensor& z, const Tensor& g) {             \
    using namespace ops;                                                                 \
    return gradient;                                                                     \
  }                                                                                      \
  REGISTER_OP(#Name)                                                                     \
      .Input("y: T")                                                                     \
      .Input("dy: T")                                                                    \
      .Output("z: T")                                                                    \
      .Attr("T: {float32, float64, float16, bfloat16}")                                  \
      .Shape(SameShape)                                                                  \
      .Gradient([](const GradContext& g) -> Grads {                                      \
        return {Name##Gradient(g.input(0), g.input(1), g.output(), g.grad()),            \
                ops::Name(g.input(0), g.grad())};                                        \
      })                                                                                 \
      .Samples(TwoSamples);                                                              \
  REGISTER_KERNEL(#Name, DeviceType::kCpu, FloatTypes(), MakeBinary<Name##Fn, false>);   \
  }                                                                                      \
  Tensor ops::Name(const Tensor& y, const Tensor& dy) { return Execute1(#Name, {y, dy}); }

namespace tributary {
namespace {

void SameShape(InferenceContext& c) {
  c.set_output(0, ops::MergeShapes(c, c.shape(0), c.shape(1)));
}

std::vector<OpSample> TwoSamples() {
  const Tensor y = Tensor::FromVector<double>({0.2, 0.4, 0.6, 0.8, 0.9}, {5});
  const Tensor dy = Tensor::FromVector<double>({-1, 0.5, 2, 1.5, -0.3}, {5});
  return {{{y, dy}},
          {{SampleAs(y, DType::kFloat32), SampleAs(dy, DType::kFloat32)}},
          {{Tensor::Zeros(DType::kFloat64, {0}), Tensor::Zeros(DType::kFloat64, {0})}}};
}

Tensor Scaled(const Tensor& x, double factor) {
  return ops::Mul(x, ops::ScalarLike(x, factor));
}

}  // namespace

TRB_UNARY_GRAD(TanhGrad, dy * (1 - y * y), Mul(Scaled(Mul(g, dy), -2), y))
TRB_UNARY_GRAD(SigmoidGrad, dy * y * (1 - y),
               Mul(Mul(g, dy), Sub(ScalarLike(y, 1), Scaled(y, 2))))
TRB_UNARY_GRAD(SqrtGrad, dy * T(0.5) / y, Neg(Div(Mul(g, z), y)))
TRB_UNARY_GRAD(RsqrtGrad, dy * T(-0.5) * y * y * y, Mul(Scaled(Mul(g, dy), -1.5), Square(y)))
TRB_UNARY_GRAD(ReciprocalGrad, -dy * y * y, Mul(Scaled(Mul(g, dy), -2), y))

}  // namespace tributary

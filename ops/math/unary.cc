// Ops with one operand, one line each: its dtypes, where it is sampled, its formula
// and its gradient in terms of x, y and dy.

#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/elementwise.h"
#include "ops/math/samples.h"
#include "ops/math_ops.h"

#define TRB_FLOATS "{float32, float64, float16, bfloat16}"
#define TRB_NUMBERS \
  "{float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8}"

#define TRB_UNARY(Name, kNumbers, Sample, formula, gradient)                              \
  namespace {                                                                             \
  struct Name##Fn {                                                                       \
    template <typename T>                                                                 \
    T operator()(T x) const {                                                             \
      using std::abs, std::exp, std::log;                                                 \
      return formula;                                                                     \
    }                                                                                     \
  };                                                                                      \
  Tensor Name##Gradient([[maybe_unused]] const Tensor& x, [[maybe_unused]] const Tensor& y, \
                        [[maybe_unused]] const Tensor& dy) {                              \
    using namespace ops;                                                                  \
    return gradient;                                                                      \
  }                                                                                       \
  REGISTER_OP(#Name)                                                                      \
      .Input("x: T")                                                                      \
      .Output("y: T")                                                                     \
      .Attr(kNumbers ? "T: " TRB_NUMBERS : "T: " TRB_FLOATS)                              \
      .Shape(ops::UnchangedShape)                                                         \
      .Gradient([](const GradContext& g) -> Grads {                                       \
        return {Name##Gradient(g.input(0), g.output(), g.grad())};                        \
      })                                                                                  \
      .Samples([] { return UnarySamples(Sample); });                                      \
  REGISTER_KERNEL(#Name, DeviceType::kCpu, kNumbers ? NumberTypes() : FloatTypes(),       \
                  MakeUnary<Name##Fn, kNumbers>);                                         \
  }                                                                                       \
  Tensor ops::Name(const Tensor& x) { return Execute1(#Name, {x}); }

namespace tributary {
namespace {

constexpr bool kFloats = false, kNumbers = true;
const Tensor kNone;

// Integers wrap at the smallest value.
template <typename T>
T Negated(T x) {
  if constexpr (std::is_integral_v<T>) return Sub(T(0), x);
  else return -x;
}
template <typename T>
T Product(T x, T y) {
  return Mul(x, y);
}

Tensor Scaled(const Tensor& x, double factor) {
  return ops::Mul(x, ops::ScalarLike(x, factor));
}
Tensor OnePlus(const Tensor& x) { return ops::Add(x, ops::ScalarLike(x, 1)); }
Tensor OneMinusSquare(const Tensor& x) {
  return ops::Sub(ops::ScalarLike(x, 1), ops::Square(x));
}
// The derivative of erf.
Tensor ErfSlope(const Tensor& x) {
  return Scaled(ops::Exp(ops::Neg(ops::Square(x))), M_2_SQRTPI);
}

}  // namespace

TRB_UNARY(Neg, kNumbers, AnySample(), Negated(x), Neg(dy))
TRB_UNARY(Abs, kNumbers, AnySample(), x < T(0) ? Negated(x) : x, Mul(dy, Sign(x)))
TRB_UNARY(Sign, kNumbers, AnySample(), x != x ? x : T((x > T(0)) - (x < T(0))), ZerosLike(x))
TRB_UNARY(Square, kNumbers, AnySample(), Product(x, x), Mul(dy, Scaled(x, 2)))
TRB_UNARY(Exp, kFloats, AnySample(), exp(x), Mul(dy, y))
TRB_UNARY(Expm1, kFloats, AnySample(), std::expm1(x), Mul(dy, OnePlus(y)))
TRB_UNARY(Log, kFloats, PositiveSample(), log(x), Div(dy, x))
TRB_UNARY(Log1p, kFloats, UnitSample(), std::log1p(x), Div(dy, OnePlus(x)))
TRB_UNARY(Sqrt, kFloats, PositiveSample(), std::sqrt(x), SqrtGrad(y, dy))
TRB_UNARY(Rsqrt, kFloats, PositiveSample(), 1 / std::sqrt(x), RsqrtGrad(y, dy))
TRB_UNARY(Reciprocal, kFloats, PositiveSample(), 1 / x, ReciprocalGrad(y, dy))
TRB_UNARY(Sin, kFloats, AnySample(), std::sin(x), Mul(dy, Cos(x)))
TRB_UNARY(Cos, kFloats, AnySample(), std::cos(x), Neg(Mul(dy, Sin(x))))
TRB_UNARY(Tan, kFloats, UnitSample(), std::tan(x), Mul(dy, OnePlus(Square(y))))
TRB_UNARY(Asin, kFloats, UnitSample(), std::asin(x), Mul(dy, Rsqrt(OneMinusSquare(x))))
TRB_UNARY(Acos, kFloats, UnitSample(), std::acos(x), Neg(Mul(dy, Rsqrt(OneMinusSquare(x)))))
TRB_UNARY(Atan, kFloats, AnySample(), std::atan(x), Div(dy, OnePlus(Square(x))))
TRB_UNARY(Sinh, kFloats, AnySample(), std::sinh(x), Mul(dy, Cosh(x)))
TRB_UNARY(Cosh, kFloats, AnySample(), std::cosh(x), Mul(dy, Sinh(x)))
TRB_UNARY(Tanh, kFloats, AnySample(), std::tanh(x), TanhGrad(y, dy))
TRB_UNARY(Sigmoid, kFloats, AnySample(), 1 / (1 + exp(-x)), SigmoidGrad(y, dy))
TRB_UNARY(Erf, kFloats, AnySample(), std::erf(x), Mul(dy, ErfSlope(x)))
TRB_UNARY(Erfc, kFloats, AnySample(), std::erfc(x), Neg(Mul(dy, ErfSlope(x))))
TRB_UNARY(Floor, kFloats, AnySample(), std::floor(x), kNone)
TRB_UNARY(Ceil, kFloats, AnySample(), std::ceil(x), kNone)
TRB_UNARY(Round, kFloats, AnySample(), std::nearbyint(x), kNone)
TRB_UNARY(Rint, kFloats, AnySample(), std::nearbyint(x), kNone)

}  // namespace tributary

// Broadcasting arithmetic, one line an op: dtypes, sampled values, formula on two
// elements, and the gradients of x and y (before they are summed over what
// broadcasting had spread) in terms of x, y, z and dz.

#include "core/runtime/execute.h"
#include "ops/array_ops.h"
#include "ops/math/elementwise.h"
#include "ops/math/samples.h"
#include "ops/math_ops.h"

#define TRB_BINARY(Op, Builder, kNumbers, kCommutes, Sample, formula, gradient_x, gradient_y) \
  namespace {                                                                             \
  struct Op##Fn {                                                                         \
    template <typename T>                                                                 \
    T operator()(T x, T y) const {                                                        \
      return formula;                                                                     \
    }                                                                                     \
  };                                                                                      \
  Grads Op##Gradient(const GradContext& c) {                                              \
    using namespace ops;                                                                  \
    [[maybe_unused]] const Tensor &x = c.input(0), &y = c.input(1), &z = c.output();      \
    [[maybe_unused]] const Tensor& dz = c.grad();                                         \
    return {Unbroadcast(gradient_x, x, y), Unbroadcast(gradient_y, y, x)};                \
  }                                                                                       \
  [[maybe_unused]] const OpRegistrar Op##_registrar = Described(                          \
      OpBuilder(#Op), kNumbers, kCommutes, BroadcastShape, Op##Gradient,                  \
      [] { return BinarySamples(Sample, OtherSample()); });                                 \
  REGISTER_KERNEL(#Op, DeviceType::kCpu, kNumbers ? NumberTypes() : FloatTypes(),         \
                  MakeBinary<Op##Fn, kNumbers>);                                          \
  }                                                                                       \
  Tensor ops::Builder(const Tensor& x, const Tensor& y) { return Execute1(#Op, {x, y}); }

namespace tributary {
namespace {

constexpr bool kFloats = false, kNumbers = true;
constexpr bool kCommutes = true, kOrdered = false;
const Tensor kNone;

OpBuilder& Described(OpBuilder&& builder, bool numbers, bool commutes, ShapeFn shape,
                     GradientFn gradient, std::function<std::vector<OpSample>()> samples) {
  const bool y_first = builder.schema().name == "Atan2";
  builder.Input(y_first ? "y: T" : "x: T").Input(y_first ? "x: T" : "y: T").Output("z: T");
  builder.Attr(numbers ? "T: {float32, float64, float16, bfloat16, int8, int16, int32, int64, "
                         "uint8}"
                       : "T: {float32, float64, float16, bfloat16}");
  if (commutes) builder.Commutative();
  builder.Shape(std::move(shape)).Gradient(std::move(gradient)).Samples(std::move(samples));
  return builder;
}

Grad Unbroadcast(const Tensor& grad, const Tensor& x, const Tensor& other) {
  if (!grad.defined()) return {};
  return ops::UnbroadcastLike(grad, x, other);
}

Tensor ZeroUnless(const Tensor& condition, const Tensor& x) {
  return ops::Select(condition, x, ops::ScalarLike(x, 0));
}

// The other side of ZeroUnless, also where a comparison with NaN decided.
Tensor ZeroWhere(const Tensor& condition, const Tensor& x) {
  return ops::Select(condition, ops::ScalarLike(x, 0), x);
}

[[noreturn]] void ThrowDivisionByZero(const char* op) {
  throw InvalidArgumentError("[{}] integer division by zero", op);
}

template <typename T>
T FloorQuotient(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    if (y == 0) ThrowDivisionByZero("FloorDiv");
    if constexpr (std::is_signed_v<T>) {
      if (y == -1) return Sub(T(0), x);  // the smallest value wraps
    }
    const T q = static_cast<T>(x / y);
    return x % y != 0 && ((x < 0) != (y < 0)) ? static_cast<T>(q - 1) : q;
  } else {
    return std::floor(x / y);
  }
}

template <typename T>
T FloorRemainder(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    if (y == 0) ThrowDivisionByZero("FloorMod");
    if constexpr (std::is_signed_v<T>) {
      if (y == -1) return 0;
    }
    const T r = static_cast<T>(x % y);
    return r != 0 && ((r < 0) != (y < 0)) ? static_cast<T>(r + y) : r;
  } else {
    const T r = std::fmod(x, y);
    return r != 0 && ((r < 0) != (y < 0)) ? r + y : r;
  }
}

template <typename T>
T Power(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    if (y < 0) throw InvalidArgumentError("[Pow] an integer to the negative power {}", y);
    T result = 1;
    for (; y; y = static_cast<T>(y >> 1), x = Mul(x, x)) {
      if (y & 1) result = Mul(result, x);
    }
    return result;
  } else {
    return std::pow(x, y);
  }
}

template <typename T>
T Squared(T x) {
  return Mul(x, x);
}

Tensor SumOfSquares(const Tensor& x, const Tensor& y) {
  return ops::Add(ops::Square(x), ops::Square(y));
}
// log(x) where x > 0, else 0, as tf.pow's gradient has it.
Tensor SafeLog(const Tensor& x) {
  const Tensor positive = ops::Greater(x, ops::ScalarLike(x, 0));
  return ZeroUnless(positive, ops::Log(ops::Select(positive, x, ops::ScalarLike(x, 1))));
}

}  // namespace

TRB_BINARY(AddV2, Add, kNumbers, kCommutes, AnySample(), tributary::Add(x, y), dz, dz)
TRB_BINARY(Sub, Sub, kNumbers, kOrdered, AnySample(), tributary::Sub(x, y), dz, Neg(dz))
TRB_BINARY(Mul, Mul, kNumbers, kCommutes, AnySample(), tributary::Mul(x, y), Mul(dz, y), Mul(dz, x))
TRB_BINARY(RealDiv, Div, kFloats, kOrdered, AnySample(), x / y, Div(dz, y),
           Mul(dz, Div(Neg(z), y)))
TRB_BINARY(DivNoNan, DivNoNan, kFloats, kOrdered, AnySample(), y == 0 ? T(0) : x / y,
           DivNoNan(dz, y), Mul(dz, DivNoNan(Neg(z), y)))
TRB_BINARY(FloorDiv, FloorDiv, kNumbers, kOrdered, AnySample(), FloorQuotient(x, y), kNone, kNone)
TRB_BINARY(FloorMod, FloorMod, kNumbers, kOrdered, AnySample(), FloorRemainder(x, y), dz,
           Neg(Mul(dz, FloorDiv(x, y))))
TRB_BINARY(Maximum, Maximum, kNumbers, kCommutes, AnySample(), x != x || x > y ? x : y,
           ZeroUnless(GreaterEqual(x, y), dz), ZeroWhere(GreaterEqual(x, y), dz))
TRB_BINARY(Minimum, Minimum, kNumbers, kCommutes, AnySample(), x != x || x < y ? x : y,
           ZeroUnless(LessEqual(x, y), dz), ZeroWhere(LessEqual(x, y), dz))
TRB_BINARY(SquaredDifference, SquaredDifference, kNumbers, kCommutes, AnySample(),
           Squared(tributary::Sub(x, y)), Mul(dz, Mul(ScalarLike(x, 2), Sub(x, y))),
           Mul(dz, Mul(ScalarLike(x, 2), Sub(y, x))))
TRB_BINARY(Atan2, Atan2, kFloats, kOrdered, AnySample(), std::atan2(x, y),
           Mul(dz, Div(y, SumOfSquares(x, y))), Neg(Mul(dz, Div(x, SumOfSquares(x, y)))))
TRB_BINARY(Pow, Pow, kNumbers, kOrdered, PositiveSample(), Power(x, y),
           Mul(dz, Mul(y, Pow(x, Sub(y, ScalarLike(y, 1))))), Mul(dz, Mul(z, SafeLog(x))))

}  // namespace tributary

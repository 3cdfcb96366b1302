// Mathematical functions on float vectors, defined for every input: NaN gives NaN,
// infinities and overflow give what std:: gives. Included once a Highway target.

#if defined(TRB_FLOAT_MATH_INL_TARGET) == defined(HWY_TARGET_TOGGLE)
#ifdef TRB_FLOAT_MATH_INL_TARGET
#undef TRB_FLOAT_MATH_INL_TARGET
#else
#define TRB_FLOAT_MATH_INL_TARGET
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary::simd {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::CappedTag<float, 16>;
using Vec = hn::Vec<Tag>;

HWY_INLINE Vec Num(float value) { return hn::Set(Tag(), value); }
HWY_INLINE Vec Inf() { return Num(std::numeric_limits<float>::infinity()); }
HWY_INLINE Vec IfNan(Vec x, Vec otherwise) {
  return hn::IfThenElse(hn::Eq(x, x), otherwise, x);
}

HWY_INLINE Vec SignOf(Vec x) {
  const Vec zero = hn::Zero(Tag());
  const Vec one = hn::IfThenElseZero(hn::Gt(x, zero), Num(1));
  return IfNan(x, hn::IfThenElse(hn::Lt(x, zero), Num(-1), one));
}

HWY_INLINE Vec ExpOf(Vec x) {
  const Vec limited = hn::Min(hn::Max(x, Num(-104.0f)), Num(88.72283f));
  const Vec y = hn::Exp(Tag(), limited);
  return IfNan(x, hn::IfThenElse(hn::Gt(x, Num(88.72283f)), Inf(), y));
}

HWY_INLINE Vec Expm1Of(Vec x) {
  const Vec limited = hn::Min(hn::Max(x, Num(-104.0f)), Num(88.72283f));
  const Vec y = hn::Expm1(Tag(), limited);
  return IfNan(x, hn::IfThenElse(hn::Gt(x, Num(88.72283f)), Inf(), y));
}

// log(x) from y, its value for ordinary numbers above `low`, where it is -inf.
HWY_INLINE Vec LogEdges(Vec x, Vec y, Vec low) {
  y = hn::IfThenElse(hn::Eq(x, Inf()), x, y);
  y = hn::IfThenElse(hn::Eq(x, low), hn::Neg(Inf()), y);
  y = hn::IfThenElse(hn::Lt(x, low), hn::NaN(Tag()), y);
  return IfNan(x, y);
}
HWY_INLINE Vec LogOf(Vec x) { return LogEdges(x, hn::Log(Tag(), x), hn::Zero(Tag())); }
HWY_INLINE Vec Log1pOf(Vec x) { return LogEdges(x, hn::Log1p(Tag(), x), Num(-1)); }

// Highway's sine and cosine hold up to 39000; beyond, lane by lane.
template <typename Vector, typename Scalar>
HWY_INLINE Vec Periodic(Vec x, const Vector& vector, const Scalar& scalar) {
  const Tag d;
  const auto ordinary = hn::Lt(hn::Abs(x), Num(39000.0f));
  if (HWY_LIKELY(hn::AllTrue(d, ordinary))) return vector(x);
  HWY_ALIGN float lanes[hn::MaxLanes(Tag())];
  hn::Store(x, d, lanes);
  for (float& lane : lanes) lane = scalar(lane);
  return hn::Load(d, lanes);
}
HWY_INLINE Vec SinOf(Vec x) {
  return Periodic(x, [](Vec v) { return hn::Sin(Tag(), v); }, [](float v) { return std::sin(v); });
}
HWY_INLINE Vec CosOf(Vec x) {
  return Periodic(x, [](Vec v) { return hn::Cos(Tag(), v); }, [](float v) { return std::cos(v); });
}

// x * p(x^2) / q(x^2), coefficients from the highest power down.
template <size_t kP, size_t kQ>
HWY_INLINE Vec OddRational(Vec x, const float (&p)[kP], const float (&q)[kQ]) {
  const Vec x2 = hn::Mul(x, x);
  Vec up = Num(p[0]), down = Num(q[0]);
  for (size_t i = 1; i < kP; ++i) up = hn::MulAdd(up, x2, Num(p[i]));
  for (size_t i = 1; i < kQ; ++i) down = hn::MulAdd(down, x2, Num(q[i]));
  return hn::Div(hn::Mul(x, up), down);
}

HWY_INLINE Vec Limit(Vec x, float bound) {
  return hn::Min(hn::Max(x, Num(-bound)), Num(bound));
}

// Coefficients: Eigen's generic_fast_tanh_float (error 3 ulp).
HWY_INLINE Vec TanhOf(Vec x) {
  constexpr float kP[] = {-2.76076847742355e-16f, 2.00018790482477e-13f, -8.60467152213735e-11f,
                          5.12229709037114e-08f,  1.48572235717979e-05f, 6.37261928875436e-04f,
                          4.89352455891786e-03f};
  constexpr float kQ[] = {1.19825839466702e-06f, 1.18534705686654e-04f, 2.26843463243900e-03f,
                          4.89352518554385e-03f};
  const Vec y = Limit(OddRational(Limit(x, 9.0f), kP, kQ), 1.0f);
  return IfNan(x, hn::IfThenElse(hn::Lt(hn::Abs(x), Num(0.0004f)), x, y));
}

HWY_INLINE Vec SigmoidOf(Vec x) {
  // With the exponential of a negative number only, so that nothing overflows.
  const Vec e = ExpOf(hn::Neg(hn::Abs(x)));
  const Vec denominator = hn::Add(Num(1), e);
  const Vec numerator = hn::IfThenElse(hn::Lt(x, hn::Zero(Tag())), e, Num(1));
  return hn::Div(numerator, denominator);
}

// Coefficients: Eigen's generic_fast_erf_float (error 7 ulp).
HWY_INLINE Vec ErfOf(Vec x) {
  constexpr float kP[] = {-2.72614225801306e-10f, 2.77068142495902e-08f, -2.10102402082508e-06f,
                          -5.69250639462346e-05f, -7.34990630326855e-04f,
                          -2.95459980854025e-03f, -1.60960333262415e-02f};
  constexpr float kQ[] = {-1.45660718464996e-05f, -2.13374055278905e-04f,
                          -1.68282697438203e-03f, -7.37332916720468e-03f,
                          -1.42647390514189e-02f};
  return IfNan(x, Limit(OddRational(Limit(x, 4.0f), kP, kQ), 1.0f));
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary::simd
HWY_AFTER_NAMESPACE();

#endif

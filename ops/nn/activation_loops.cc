#include "ops/nn/activation_loops.h"

#include "core/base/parallel.h"
#include "ops/array/shape_rules.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/nn/activation_loops.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

HWY_INLINE V C(float value) { return hn::Set(D(), value); }
HWY_INLINE V Positive(V mask, V value) {
  return hn::IfThenElseZero(hn::Gt(mask, hn::Zero(D())), value);
}
// Below -88 the result is subnormal or zero. Here and below NaN comes through,
// because Max and Min return their second operand then.
HWY_INLINE V Exp(V x) { return hn::Exp(D(), hn::Max(C(-88.0f), x)); }
HWY_INLINE V Sigmoid(V x) {
  // With the exponential of a negative number only, so that nothing overflows.
  const V e = Exp(hn::Neg(hn::Abs(x)));
  const V small = hn::Div(e, hn::Add(C(1), e));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(D())), small, hn::Sub(C(1), small));
}

// Phi(x), the normal distribution function, by Abramowitz and Stegun 7.1.26
// (absolute error 7.5e-8), and phi(x), its density.
HWY_INLINE void Normal(V x, V* cdf, V* density) {
  const V e = Exp(hn::Mul(C(-0.5f), hn::Mul(x, x)));
  const V t = hn::Div(C(1), hn::MulAdd(C(0.3275911f * 0.70710678f), hn::Abs(x), C(1)));
  V p = hn::MulAdd(t, C(1.061405429f), C(-1.453152027f));
  p = hn::MulAdd(t, p, C(1.421413741f));
  p = hn::MulAdd(t, p, C(-0.284496736f));
  p = hn::MulAdd(t, p, C(0.254829592f));
  const V tail = hn::Mul(C(0.5f), hn::Mul(hn::Mul(p, t), e));
  *cdf = hn::IfThenElse(hn::Lt(x, hn::Zero(D())), tail, hn::Sub(C(1), tail));
  *density = hn::Mul(C(0.3989422804f), e);
}

constexpr float kGeluScale = 0.7978845608f, kGeluCube = 0.044715f;
HWY_INLINE V GeluTanhOf(V x) {
  const V u = hn::Mul(C(kGeluScale), hn::Mul(x, hn::MulAdd(C(kGeluCube), hn::Mul(x, x), C(1))));
  return hn::Tanh(D(), u);
}
constexpr float kSeluScale = 1.0507009873554804934193349852946f;
constexpr float kSeluScaleAlpha = 1.7580993408473768599402175208123f;

struct Unary {
  template <ActivationLoop kLoop>
  static HWY_INLINE V Of(V x, V, float alpha) {
    const D d;
    const V zero = hn::Zero(d);
    using L = ActivationLoop;
    if constexpr (kLoop == L::kRelu) return hn::Max(zero, x);
    if constexpr (kLoop == L::kRelu6) return hn::Min(C(6), hn::Max(zero, x));
    if constexpr (kLoop == L::kLeakyRelu) {
      return hn::IfThenElse(hn::Gt(x, zero), x, hn::Mul(x, C(alpha)));
    }
    if constexpr (kLoop == L::kElu) {
      return hn::IfThenElse(hn::Lt(x, zero), hn::Expm1(d, hn::Max(C(-88.0f), x)), x);
    }
    if constexpr (kLoop == L::kSelu) {
      return hn::IfThenElse(hn::Lt(x, zero),
                            hn::Mul(C(kSeluScaleAlpha), hn::Expm1(d, hn::Max(C(-88.0f), x))),
                            hn::Mul(C(kSeluScale), x));
    }
    if constexpr (kLoop == L::kSoftplus) {
      return hn::Add(hn::Max(zero, x), hn::Log1p(d, Exp(hn::Neg(hn::Abs(x)))));
    }
    if constexpr (kLoop == L::kSoftsign) return hn::Div(x, hn::Add(C(1), hn::Abs(x)));
    if constexpr (kLoop == L::kGelu) {
      V cdf, density;
      Normal(x, &cdf, &density);
      return hn::Mul(x, cdf);
    }
    if constexpr (kLoop == L::kGeluTanh) {
      return hn::Mul(hn::Mul(C(0.5f), x), hn::Add(C(1), GeluTanhOf(x)));
    }
    if constexpr (kLoop == L::kSigmoid) return Sigmoid(x);
    if constexpr (kLoop == L::kTanh) return hn::Tanh(d, x);
    return zero;
  }
};

struct Binary {
  template <ActivationLoop kLoop>
  static HWY_INLINE V Of(V g, V x, float alpha) {
    const D d;
    const V zero = hn::Zero(d);
    using L = ActivationLoop;
    if constexpr (kLoop == L::kReluGrad) return Positive(x, g);
    if constexpr (kLoop == L::kRelu6Grad) return Positive(x, Positive(hn::Sub(C(6), x), g));
    if constexpr (kLoop == L::kLeakyReluGrad) {
      return hn::IfThenElse(hn::Gt(x, zero), g, hn::Mul(g, C(alpha)));
    }
    if constexpr (kLoop == L::kEluGrad) {
      return hn::IfThenElse(hn::Lt(x, zero), hn::MulAdd(g, x, g), g);
    }
    if constexpr (kLoop == L::kSeluGrad) {
      return hn::Mul(g, hn::IfThenElse(hn::Lt(x, zero), hn::Add(x, C(kSeluScaleAlpha)),
                                       C(kSeluScale)));
    }
    if constexpr (kLoop == L::kSoftplusGrad) return hn::Mul(g, Sigmoid(x));
    if constexpr (kLoop == L::kSoftsignGrad) {
      const V r = hn::Add(C(1), hn::Abs(x));
      return hn::Div(g, hn::Mul(r, r));
    }
    if constexpr (kLoop == L::kGeluGrad) {
      V cdf, density;
      Normal(x, &cdf, &density);
      return hn::Mul(g, hn::MulAdd(x, density, cdf));
    }
    if constexpr (kLoop == L::kGeluTanhGrad) {
      const V t = GeluTanhOf(x), x2 = hn::Mul(x, x);
      const V slope = hn::Mul(C(kGeluScale), hn::MulAdd(C(3 * kGeluCube), x2, C(1)));
      const V curve = hn::Mul(hn::Mul(x, hn::NegMulAdd(t, t, C(1))), slope);
      return hn::Mul(hn::Mul(C(0.5f), g), hn::Add(hn::Add(C(1), t), curve));
    }
    return zero;
  }
};

template <typename Kind, ActivationLoop kLoop, bool kTwo>
void Loop(const float* a, const float* b, float* out, int64_t count, float alpha) {
  const D d;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const V x = hn::LoadU(d, a + i);
    const V y = kTwo ? hn::LoadU(d, b + i) : x;
    hn::StoreU(Kind::template Of<kLoop>(x, y, alpha), d, out + i);
  }
  if (i == count) return;
  HWY_ALIGN float tail_a[kLanes] = {}, tail_b[kLanes] = {};
  const size_t bytes = (count - i) * sizeof(float);
  memcpy(tail_a, a + i, bytes);
  if (kTwo) memcpy(tail_b, b + i, bytes);
  hn::Store(Kind::template Of<kLoop>(hn::Load(d, tail_a), hn::Load(d, tail_b), alpha), d,
            tail_a);
  memcpy(out + i, tail_a, bytes);
}

using LoopFn = void (*)(const float*, const float*, float*, int64_t, float);

LoopFn FindLoop(ActivationLoop loop) {
  using L = ActivationLoop;
#define TRB_UNARY(k) case L::k: return &Loop<Unary, L::k, false>
#define TRB_BINARY(k) case L::k: return &Loop<Binary, L::k, true>
  switch (loop) {
    TRB_UNARY(kRelu);
    TRB_UNARY(kRelu6);
    TRB_UNARY(kLeakyRelu);
    TRB_UNARY(kElu);
    TRB_UNARY(kSelu);
    TRB_UNARY(kSoftplus);
    TRB_UNARY(kSoftsign);
    TRB_UNARY(kGelu);
    TRB_UNARY(kGeluTanh);
    TRB_UNARY(kSigmoid);
    TRB_UNARY(kTanh);
    TRB_BINARY(kReluGrad);
    TRB_BINARY(kRelu6Grad);
    TRB_BINARY(kLeakyReluGrad);
    TRB_BINARY(kEluGrad);
    TRB_BINARY(kSeluGrad);
    TRB_BINARY(kSoftplusGrad);
    TRB_BINARY(kSoftsignGrad);
    TRB_BINARY(kGeluGrad);
    TRB_BINARY(kGeluTanhGrad);
  }
#undef TRB_UNARY
#undef TRB_BINARY
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {

HWY_EXPORT(FindLoop);

namespace {

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double NormalCdf(double x) { return 0.5 * std::erfc(-x * M_SQRT1_2); }
double NormalDensity(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI); }

constexpr double kScale = 1.0507009873554804934193349852946;
constexpr double kScaleAlpha = 1.7580993408473768599402175208123;

// a alone is the input; with two operands a is the gradient and b the argument.
double Exact(ActivationLoop loop, double a, double b, double alpha) {
  using L = ActivationLoop;
  const double u = std::sqrt(2 / M_PI) * (a + 0.044715 * a * a * a);
  const double t = std::tanh(std::sqrt(2 / M_PI) * (b + 0.044715 * b * b * b));
  switch (loop) {
    case L::kRelu: return std::max(a, 0.0);
    case L::kRelu6: return std::min(std::max(a, 0.0), 6.0);
    case L::kLeakyRelu: return a > 0 ? a : alpha * a;
    case L::kElu: return a < 0 ? std::expm1(a) : a;
    case L::kSelu: return a < 0 ? kScaleAlpha * std::expm1(a) : kScale * a;
    case L::kSoftplus: return std::max(a, 0.0) + std::log1p(std::exp(-std::abs(a)));
    case L::kSoftsign: return a / (1 + std::abs(a));
    case L::kGelu: return a * NormalCdf(a);
    case L::kGeluTanh: return 0.5 * a * (1 + std::tanh(u));
    case L::kSigmoid: return Sigmoid(a);
    case L::kTanh: return std::tanh(a);
    case L::kReluGrad: return b > 0 ? a : 0;
    case L::kRelu6Grad: return b > 0 && b < 6 ? a : 0;
    case L::kLeakyReluGrad: return b > 0 ? a : alpha * a;
    case L::kEluGrad: return b < 0 ? a * (b + 1) : a;
    case L::kSeluGrad: return b < 0 ? a * (b + kScaleAlpha) : a * kScale;
    case L::kSoftplusGrad: return a * Sigmoid(b);
    case L::kSoftsignGrad: return a / ((1 + std::abs(b)) * (1 + std::abs(b)));
    case L::kGeluGrad: return a * (NormalCdf(b) + b * NormalDensity(b));
    case L::kGeluTanhGrad:
      return 0.5 * a * (1 + t + b * (1 - t * t) * std::sqrt(2 / M_PI) *
                                    (1 + 3 * 0.044715 * b * b));
  }
  return 0;
}

template <typename T>
std::unique_ptr<Kernel> MakeActivation(ActivationLoop loop, PrepareContext& c) {
  const int64_t count = c.out_shape(0).NumElements();
  const bool two = c.num_inputs() == 2;
  const float alpha = c.attrs().Has("alpha") ? c.attr<float>("alpha") : 0.0f;
  for (int i = 0; i < c.num_inputs(); ++i) c.allow_in_place(0, i);
  return MakeKernel([loop, count, two, alpha](const LaunchArgs& args) {
    RunActivation(loop, static_cast<const T*>(args.in[0]),
                  two ? static_cast<const T*>(args.in[1]) : nullptr,
                  static_cast<T*>(args.out[0]), count, alpha);
  });
}

}  // namespace

void RunActivation(ActivationLoop loop, const float* a, const float* b, float* out,
                   int64_t count, float alpha) {
  const auto fn = HWY_DYNAMIC_DISPATCH(FindLoop)(loop);
  ParallelFor(count, 1 << 14, [&](int64_t begin, int64_t end) {
    fn(a + begin, b ? b + begin : nullptr, out + begin, end - begin, alpha);
  });
}

void RunActivation(ActivationLoop loop, const double* a, const double* b, double* out,
                   int64_t count, float alpha) {
  for (int64_t i = 0; i < count; ++i) out[i] = Exact(loop, a[i], b ? b[i] : 0, alpha);
}

KernelFactory ActivationKernel(ActivationLoop loop) {
  return [loop](PrepareContext& c) {
    return c.out_dtype(0) == DType::kFloat64 ? MakeActivation<double>(loop, c)
                                             : MakeActivation<float>(loop, c);
  };
}

void SameShapes(InferenceContext& c) {
  c.set_output(0, ops::MergeShapes(c, c.shape(0), c.shape(1)));
}

}  // namespace tributary
#endif

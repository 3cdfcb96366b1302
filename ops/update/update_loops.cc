#include "ops/update/update_loops.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/parallel.h"
#include "ops/simd/prefetch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/update/update_loops.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "ops/linalg/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// sqrt(x) and a / b. AVX-512 divides and takes roots one after the other, 16 and 18
// cycles a vector, which is more than the memory needs for a whole step of Adam:
// approximations of 14 bits and a step of Newton's give the same to an ulp or two.
// Narrower instruction sets have 12 bits to begin with, so they do it exactly.
template <class D>
constexpr bool kApproximate = HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3 && hn::MaxLanes(D()) == 16;

template <class D, class V>
HWY_INLINE V Root(D d, V x) {
  if constexpr (kApproximate<D>) {
    // Of nothing smaller than the smallest normal number: sqrt(0) is 0 * y, not 0 * inf.
    const V least = hn::Set(d, std::numeric_limits<float>::min());
    const V y = hn::ApproximateReciprocalSqrt(hn::Max(x, least)), s = hn::Mul(x, y);
    const V half = hn::Set(d, 0.5f), error = hn::NegMulAdd(s, hn::Mul(half, y), half);
    return hn::MulAdd(s, error, s);
  } else {
    return hn::Sqrt(x);
  }
}

template <class D, class V>
HWY_INLINE V Quotient(D d, V a, V b) {
  if constexpr (kApproximate<D>) {
    V r = hn::ApproximateReciprocal(b);
    r = hn::MulAdd(hn::NegMulAdd(b, r, hn::Set(d, 1.0f)), r, r);
    const V q = hn::Mul(a, r);
    return hn::MulAdd(hn::NegMulAdd(b, q, a), r, q);
  } else {
    return hn::Div(a, b);
  }
}

// How a vector is read and written: whole, or its first lanes only.
struct Whole {
  template <class D>
  HWY_INLINE hn::Vec<D> Load(D d, const float* p) const { return hn::LoadU(d, p); }
  template <class D>
  HWY_INLINE void Store(hn::Vec<D> v, D d, float* p) const { hn::StoreU(v, d, p); }
};
struct First {
  int64_t count;
  template <class D>
  HWY_INLINE hn::Vec<D> Load(D d, const float* p) const { return LoadPartial(d, p, count); }
  template <class D>
  HWY_INLINE void Store(hn::Vec<D> v, D d, float* p) const { StorePartial(v, d, p, count); }
};

// One vector of a rule. Elements behind the last full vector go through a vector, too,
// so that the bits do not depend on where a range is cut.
template <UpdateRule kRule, class D, class Io>
HWY_INLINE void Step(D d, Io io, const UpdateArrays& p, const UpdateNumbers& n, int64_t i) {
  using R = UpdateRule;
  using V = hn::Vec<D>;
  const auto number = [&](float value) HWY_ATTR { return hn::Set(d, value); };
  const V g = io.Load(d, p.grad + i), w = io.Load(d, p.var + i), lr = number(n.a);
  if constexpr (kRule == R::kGradientDescent) {
    io.Store(hn::NegMulAdd(lr, g, w), d, p.var + i);
  }
  if constexpr (kRule == R::kMomentum || kRule == R::kNesterov) {
    const V m = number(n.b), accum = hn::MulAdd(io.Load(d, p.slot0 + i), m, g);
    io.Store(accum, d, p.slot0 + i);
    const V step = kRule == R::kMomentum ? accum : hn::MulAdd(m, accum, g);
    io.Store(hn::NegMulAdd(lr, step, w), d, p.var + i);
  }
  if constexpr (kRule == R::kKerasMomentum || kRule == R::kKerasNesterov) {
    const V m = number(n.b);
    const V accum = hn::NegMulAdd(lr, g, hn::Mul(io.Load(d, p.slot0 + i), m));
    io.Store(accum, d, p.slot0 + i);
    const V step =
        kRule == R::kKerasMomentum ? accum : hn::NegMulAdd(lr, g, hn::Mul(m, accum));
    io.Store(hn::Add(w, step), d, p.var + i);
  }
  if constexpr (kRule == R::kAdagrad || kRule == R::kAdagradFrozen) {
    V accum = io.Load(d, p.slot0 + i);
    if constexpr (kRule == R::kAdagrad) {
      accum = hn::MulAdd(g, g, accum);
      io.Store(accum, d, p.slot0 + i);
    }
    const V root = hn::Add(Root(d, accum), number(n.b));
    io.Store(hn::Sub(w, Quotient(d, hn::Mul(lr, g), root)), d, p.var + i);
  }
  if constexpr (kRule == R::kKerasAdagrad) {
    const V accum = hn::MulAdd(g, g, io.Load(d, p.slot0 + i));
    io.Store(accum, d, p.slot0 + i);
    const V root = Root(d, hn::Add(accum, number(n.b)));
    io.Store(hn::Sub(w, Quotient(d, hn::Mul(lr, g), root)), d, p.var + i);
  }
  if constexpr (kRule == R::kRMSProp || kRule == R::kCenteredRMSProp) {
    const V decay = number(n.b);
    V ms = io.Load(d, p.slot0 + i);
    ms = hn::MulAdd(decay, hn::Sub(hn::Mul(g, g), ms), ms);
    io.Store(ms, d, p.slot0 + i);
    V spread = hn::Add(ms, number(n.d));
    if constexpr (kRule == R::kCenteredRMSProp) {
      V mg = io.Load(d, p.slot2 + i);
      mg = hn::MulAdd(decay, hn::Sub(g, mg), mg);
      io.Store(mg, d, p.slot2 + i);
      spread = hn::NegMulAdd(mg, mg, spread);
    }
    const V mom = hn::MulAdd(number(n.c), io.Load(d, p.slot1 + i),
                             Quotient(d, hn::Mul(lr, g), Root(d, spread)));
    io.Store(mom, d, p.slot1 + i);
    io.Store(hn::Sub(w, mom), d, p.var + i);
  }
  if constexpr (kRule == R::kAdadelta) {
    const V rho = number(n.b), epsilon = number(n.c), rest = number(n.d);
    V seen = io.Load(d, p.slot0 + i), moved = io.Load(d, p.slot1 + i);
    seen = hn::MulAdd(rest, hn::Mul(g, g), hn::Mul(rho, seen));
    io.Store(seen, d, p.slot0 + i);
    const V ratio = Quotient(d, Root(d, hn::Add(moved, epsilon)), Root(d, hn::Add(seen, epsilon)));
    const V delta = hn::Mul(ratio, g);
    moved = hn::MulAdd(rest, hn::Mul(delta, delta), hn::Mul(rho, moved));
    io.Store(moved, d, p.slot1 + i);
    io.Store(hn::NegMulAdd(lr, delta, w), d, p.var + i);
  }
  if constexpr (kRule == R::kFtrl) {
    const V l1 = number(n.b), accum = io.Load(d, p.slot0 + i);
    const V grown = hn::MulAdd(g, g, accum);
    const V root = Root(d, grown), pull = hn::Mul(hn::Sub(root, Root(d, accum)), lr);
    const V shrunk = hn::MulAdd(number(n.d), w, g);
    const V linear = hn::Add(io.Load(d, p.slot1 + i), hn::NegMulAdd(pull, w, shrunk));
    io.Store(grown, d, p.slot0 + i);
    io.Store(linear, d, p.slot1 + i);
    const V kept = hn::Min(hn::Max(linear, hn::Neg(l1)), l1);
    const V quadratic = hn::MulAdd(root, lr, number(n.c));
    io.Store(Quotient(d, hn::Sub(kept, linear), quadratic), d, p.var + i);
  }
  if constexpr (kRule == R::kAdam || kRule == R::kAdamNesterov) {
    V m = io.Load(d, p.slot0 + i), v = io.Load(d, p.slot1 + i);
    const V one_minus_beta1 = number(n.b);
    m = hn::MulAdd(one_minus_beta1, hn::Sub(g, m), m);
    v = hn::MulAdd(number(n.c), hn::Sub(hn::Mul(g, g), v), v);
    io.Store(m, d, p.slot0 + i);
    io.Store(v, d, p.slot1 + i);
    const V root = hn::Add(Root(d, v), number(n.d));
    if constexpr (kRule == R::kAdamNesterov) {
      const V ahead = hn::MulAdd(number(n.e), m, hn::Mul(one_minus_beta1, g));
      io.Store(hn::Sub(w, Quotient(d, hn::Mul(lr, ahead), root)), d, p.var + i);
    } else {
      const V kept = hn::Mul(w, number(n.e));
      io.Store(hn::Sub(kept, Quotient(d, hn::Mul(lr, m), root)), d, p.var + i);
    }
  }
}

// The variable may lie in memory that other processes have just read: measured on two
// ranks, an update of half of 100,000 floats takes 31 us with this hint, 102 without.
constexpr int64_t kAhead = 256;

template <UpdateRule kRule>
void Update(const UpdateArrays& arrays, const UpdateNumbers& numbers, int64_t begin,
            int64_t end) {
  const hn::CappedTag<float, 16> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const UpdateArrays p = arrays;
  const UpdateNumbers n = numbers;
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) {
    simd::PrefetchForWrite(p.var + i + kAhead);
    Step<kRule>(d, Whole(), p, n, i);
  }
  if (i < end) Step<kRule>(d, First{end - i}, p, n, i);
}

// A sum in an order that depends on the count alone: sixteen partial sums of every
// sixteenth element, whatever the width of the vectors.
struct SquareSum {
  float parts[16] = {};
  HWY_INLINE void Add(const float* x, int64_t count) {  // count <= 16
    if (count == 16) {
      for (int j = 0; j < 16; ++j) parts[j] += x[j] * x[j];
    } else {
      for (int64_t j = 0; j < count; ++j) parts[j] += x[j] * x[j];
    }
  }
  HWY_INLINE float Total() const {
    float four[4];
    for (int j = 0; j < 4; ++j) four[j] = (parts[j] + parts[j + 4]) + (parts[j + 8] + parts[j + 12]);
    return (four[0] + four[2]) + (four[1] + four[3]);
  }
};

HWY_INLINE float SumOfSquares(const float* x, int64_t count) {
  SquareSum sum;
  for (int64_t i = 0; i < count; i += 16) sum.Add(x + i, std::min<int64_t>(16, count - i));
  return sum.Total();
}

// One accumulator for the whole: grows by the mean of the squares (FBGEMM's
// EXACT_ROWWISE_ADAGRAD).
void RowWiseAdagrad(const UpdateArrays& p, const UpdateNumbers& n, int64_t begin, int64_t end) {
  const int64_t count = end - begin;
  if (count == 0) return;
  *p.slot0 += SumOfSquares(p.grad, count) / static_cast<float>(count);
  const float step = n.a / (std::sqrt(*p.slot0) + n.b);
  Update<UpdateRule::kGradientDescent>(p, {.a = step}, 0, count);
}

// fn(d, i) for vectors d from element i, over [begin, end).
template <class Fn>
HWY_INLINE void OverVectors(int64_t begin, int64_t end, const Fn& fn) {
  const hn::CappedTag<float, 16> wide;
  const hn::CappedTag<float, 1> one;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(wide));
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) fn(wide, i);
  for (; i < end; ++i) fn(one, i);
}

template <class D>
HWY_INLINE hn::Vec<D> LambStep(D d, const UpdateArrays& p, const UpdateNumbers& n, int64_t i) {
  const auto m = hn::Mul(hn::LoadU(d, p.slot0 + i), hn::Set(d, n.e));
  const auto v = hn::Mul(hn::LoadU(d, p.slot1 + i), hn::Set(d, n.f));
  return hn::Div(m, hn::Add(hn::Sqrt(v), hn::Set(d, n.d)));
}

// keras.optimizers.Lamb: the step is scaled by |weights| / |step|.
void Lamb(const UpdateArrays& p, const UpdateNumbers& n, int64_t begin, int64_t end) {
  const int64_t count = end - begin;
  SquareSum squares;
  for (int64_t at = 0; at < count; at += 16) {
    float steps[16];
    OverVectors(at, std::min(at + 16, count), [&](auto d, int64_t i) HWY_ATTR {
      const auto g = hn::LoadU(d, p.grad + i);
      auto m = hn::LoadU(d, p.slot0 + i), v = hn::LoadU(d, p.slot1 + i);
      m = hn::MulAdd(hn::Set(d, n.b), hn::Sub(g, m), m);
      v = hn::MulAdd(hn::Set(d, n.c), hn::Sub(hn::Mul(g, g), v), v);
      hn::StoreU(m, d, p.slot0 + i);
      hn::StoreU(v, d, p.slot1 + i);
      hn::StoreU(LambStep(d, p, n, i), d, steps + (i - at));
    });
    squares.Add(steps, std::min<int64_t>(16, count - at));
  }
  const float weights = std::sqrt(SumOfSquares(p.var, count)), step = std::sqrt(squares.Total());
  const float rate = weights > 0 && step > 0 ? n.a * (weights / step) : n.a;
  OverVectors(0, count, [&](auto d, int64_t i) HWY_ATTR {
    const auto w = hn::LoadU(d, p.var + i);
    hn::StoreU(hn::NegMulAdd(hn::Set(d, rate), LambStep(d, p, n, i), w), d, p.var + i);
  });
}

template <UpdateFn kWhole>
void WholeRows(const UpdateRowsArgs& args, const UpdateNumbers& numbers) {
  const int64_t width = args.width;
  for (int64_t r = 0; r < args.count; ++r) {
    float* row = args.rows[r];
    kWhole({.var = row, .slot0 = row + width, .slot1 = row + 2 * width,
            .grad = args.grads + r * width}, numbers, 0, width);
  }
}

// A row may come twice, so rows go one after another.
template <UpdateRule kRule>
void UpdateRowsOf(const UpdateRowsArgs& args, const UpdateNumbers& numbers) {
  const hn::CappedTag<float, 16> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), width = args.width;
  const UpdateNumbers n = numbers;
  for (int64_t r = 0; r < args.count; ++r) {
    float* row = args.rows[r];
    const UpdateArrays p{.var = row, .slot0 = row + width, .slot1 = row + 2 * width,
                         .slot2 = row + 3 * width, .grad = args.grads + r * width};
    int64_t i = 0;
    for (; i + lanes <= width; i += lanes) Step<kRule>(d, Whole(), p, n, i);
    if (i < width) Step<kRule>(d, First{width - i}, p, n, i);
  }
}

UpdateRowsFn FindRows(UpdateRule rule) {
  using R = UpdateRule;
  switch (rule) {
    case R::kGradientDescent: return &UpdateRowsOf<R::kGradientDescent>;
    case R::kMomentum: return &UpdateRowsOf<R::kMomentum>;
    case R::kNesterov: return &UpdateRowsOf<R::kNesterov>;
    case R::kKerasMomentum: return &UpdateRowsOf<R::kKerasMomentum>;
    case R::kKerasNesterov: return &UpdateRowsOf<R::kKerasNesterov>;
    case R::kAdagrad: return &UpdateRowsOf<R::kAdagrad>;
    case R::kAdagradFrozen: return &UpdateRowsOf<R::kAdagradFrozen>;
    case R::kKerasAdagrad: return &UpdateRowsOf<R::kKerasAdagrad>;
    case R::kRMSProp: return &UpdateRowsOf<R::kRMSProp>;
    case R::kCenteredRMSProp: return &UpdateRowsOf<R::kCenteredRMSProp>;
    case R::kAdam: return &UpdateRowsOf<R::kAdam>;
    case R::kAdamNesterov: return &UpdateRowsOf<R::kAdamNesterov>;
    case R::kAdadelta: return &UpdateRowsOf<R::kAdadelta>;
    case R::kFtrl: return &UpdateRowsOf<R::kFtrl>;
    case R::kRowWiseAdagrad: return &WholeRows<&RowWiseAdagrad>;
    case R::kLamb: return &WholeRows<&Lamb>;
  }
  return nullptr;
}

UpdateFn Find(UpdateRule rule) {
  using R = UpdateRule;
  switch (rule) {
    case R::kGradientDescent: return &Update<R::kGradientDescent>;
    case R::kMomentum: return &Update<R::kMomentum>;
    case R::kNesterov: return &Update<R::kNesterov>;
    case R::kKerasMomentum: return &Update<R::kKerasMomentum>;
    case R::kKerasNesterov: return &Update<R::kKerasNesterov>;
    case R::kAdagrad: return &Update<R::kAdagrad>;
    case R::kAdagradFrozen: return &Update<R::kAdagradFrozen>;
    case R::kKerasAdagrad: return &Update<R::kKerasAdagrad>;
    case R::kRMSProp: return &Update<R::kRMSProp>;
    case R::kCenteredRMSProp: return &Update<R::kCenteredRMSProp>;
    case R::kAdam: return &Update<R::kAdam>;
    case R::kAdamNesterov: return &Update<R::kAdamNesterov>;
    case R::kAdadelta: return &Update<R::kAdadelta>;
    case R::kFtrl: return &Update<R::kFtrl>;
    case R::kRowWiseAdagrad: return &RowWiseAdagrad;
    case R::kLamb: return &Lamb;
  }
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {

HWY_EXPORT(Find);
HWY_EXPORT(FindRows);

UpdateFn FindUpdate(UpdateRule rule) { return HWY_DYNAMIC_DISPATCH(Find)(rule); }

UpdateRowsFn FindUpdateRows(UpdateRule rule) { return HWY_DYNAMIC_DISPATCH(FindRows)(rule); }

void RunUpdate(UpdateRule rule, const UpdateArrays& arrays, const UpdateNumbers& numbers,
               int64_t count) {
  const UpdateFn fn = FindUpdate(rule);
  // Cut at whole cache lines, so that no two threads write to one.
  ParallelFor((count + 15) / 16, 1024, [&](int64_t begin, int64_t end) {
    fn(arrays, numbers, begin * 16, std::min(end * 16, count));
  });
}

}  // namespace tributary
#endif

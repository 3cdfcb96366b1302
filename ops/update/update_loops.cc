#include "ops/update/update_loops.h"

#include <algorithm>
#include <cmath>

#include "core/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/update/update_loops.cc"
#include "ops/linalg/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// One vector (or, at the end, one element) of a rule.
template <UpdateRule kRule, class D>
HWY_INLINE void Step(D d, const UpdateArrays& p, const UpdateNumbers& n, int64_t i) {
  using R = UpdateRule;
  using V = hn::Vec<D>;
  const auto number = [&](float value) HWY_ATTR { return hn::Set(d, value); };
  const V g = hn::LoadU(d, p.grad + i), w = hn::LoadU(d, p.var + i), lr = number(n.a);
  if constexpr (kRule == R::kGradientDescent) {
    hn::StoreU(hn::NegMulAdd(lr, g, w), d, p.var + i);
  }
  if constexpr (kRule == R::kMomentum || kRule == R::kNesterov) {
    const V m = number(n.b), accum = hn::MulAdd(hn::LoadU(d, p.slot0 + i), m, g);
    hn::StoreU(accum, d, p.slot0 + i);
    const V step = kRule == R::kMomentum ? accum : hn::MulAdd(m, accum, g);
    hn::StoreU(hn::NegMulAdd(lr, step, w), d, p.var + i);
  }
  if constexpr (kRule == R::kKerasMomentum || kRule == R::kKerasNesterov) {
    const V m = number(n.b);
    const V accum = hn::NegMulAdd(lr, g, hn::Mul(hn::LoadU(d, p.slot0 + i), m));
    hn::StoreU(accum, d, p.slot0 + i);
    const V step =
        kRule == R::kKerasMomentum ? accum : hn::NegMulAdd(lr, g, hn::Mul(m, accum));
    hn::StoreU(hn::Add(w, step), d, p.var + i);
  }
  if constexpr (kRule == R::kAdagrad || kRule == R::kAdagradFrozen) {
    V accum = hn::LoadU(d, p.slot0 + i);
    if constexpr (kRule == R::kAdagrad) {
      accum = hn::MulAdd(g, g, accum);
      hn::StoreU(accum, d, p.slot0 + i);
    }
    const V root = hn::Add(hn::Sqrt(accum), number(n.b));
    hn::StoreU(hn::Sub(w, hn::Div(hn::Mul(lr, g), root)), d, p.var + i);
  }
  if constexpr (kRule == R::kRMSProp || kRule == R::kCenteredRMSProp) {
    const V decay = number(n.b);
    V ms = hn::LoadU(d, p.slot0 + i);
    ms = hn::MulAdd(decay, hn::Sub(hn::Mul(g, g), ms), ms);
    hn::StoreU(ms, d, p.slot0 + i);
    V spread = hn::Add(ms, number(n.d));
    if constexpr (kRule == R::kCenteredRMSProp) {
      V mg = hn::LoadU(d, p.slot2 + i);
      mg = hn::MulAdd(decay, hn::Sub(g, mg), mg);
      hn::StoreU(mg, d, p.slot2 + i);
      spread = hn::NegMulAdd(mg, mg, spread);
    }
    const V mom = hn::MulAdd(number(n.c), hn::LoadU(d, p.slot1 + i),
                             hn::Div(hn::Mul(lr, g), hn::Sqrt(spread)));
    hn::StoreU(mom, d, p.slot1 + i);
    hn::StoreU(hn::Sub(w, mom), d, p.var + i);
  }
  if constexpr (kRule == R::kAdadelta) {
    const V rho = number(n.b), epsilon = number(n.c), rest = number(n.d);
    V seen = hn::LoadU(d, p.slot0 + i), moved = hn::LoadU(d, p.slot1 + i);
    seen = hn::MulAdd(rest, hn::Mul(g, g), hn::Mul(rho, seen));
    hn::StoreU(seen, d, p.slot0 + i);
    const V ratio = hn::Div(hn::Sqrt(hn::Add(moved, epsilon)), hn::Sqrt(hn::Add(seen, epsilon)));
    const V delta = hn::Mul(ratio, g);
    moved = hn::MulAdd(rest, hn::Mul(delta, delta), hn::Mul(rho, moved));
    hn::StoreU(moved, d, p.slot1 + i);
    hn::StoreU(hn::NegMulAdd(lr, delta, w), d, p.var + i);
  }
  if constexpr (kRule == R::kFtrl) {
    const V l1 = number(n.b), accum = hn::LoadU(d, p.slot0 + i);
    const V grown = hn::MulAdd(g, g, accum);
    const V root = hn::Sqrt(grown), pull = hn::Mul(hn::Sub(root, hn::Sqrt(accum)), lr);
    const V shrunk = hn::MulAdd(number(n.d), w, g);
    const V linear = hn::Add(hn::LoadU(d, p.slot1 + i), hn::NegMulAdd(pull, w, shrunk));
    hn::StoreU(grown, d, p.slot0 + i);
    hn::StoreU(linear, d, p.slot1 + i);
    const V kept = hn::Min(hn::Max(linear, hn::Neg(l1)), l1);
    const V quadratic = hn::MulAdd(root, lr, number(n.c));
    hn::StoreU(hn::Div(hn::Sub(kept, linear), quadratic), d, p.var + i);
  }
  if constexpr (kRule == R::kAdam || kRule == R::kAdamNesterov) {
    V m = hn::LoadU(d, p.slot0 + i), v = hn::LoadU(d, p.slot1 + i);
    const V one_minus_beta1 = number(n.b);
    m = hn::MulAdd(one_minus_beta1, hn::Sub(g, m), m);
    v = hn::MulAdd(number(n.c), hn::Sub(hn::Mul(g, g), v), v);
    hn::StoreU(m, d, p.slot0 + i);
    hn::StoreU(v, d, p.slot1 + i);
    const V root = hn::Add(hn::Sqrt(v), number(n.d));
    if constexpr (kRule == R::kAdamNesterov) {
      const V ahead = hn::MulAdd(number(n.e), m, hn::Mul(one_minus_beta1, g));
      hn::StoreU(hn::Sub(w, hn::Div(hn::Mul(lr, ahead), root)), d, p.var + i);
    } else {
      const V kept = hn::Mul(w, number(n.e));
      hn::StoreU(hn::Sub(kept, hn::Div(hn::Mul(lr, m), root)), d, p.var + i);
    }
  }
}

// The tail is done by vectors of one lane, whose every operation rounds as in the
// full vectors: the bits do not depend on where a range is cut.
template <UpdateRule kRule>
void Update(const UpdateArrays& arrays, const UpdateNumbers& numbers, int64_t begin,
            int64_t end) {
  const hn::CappedTag<float, 16> d;
  const hn::CappedTag<float, 1> one;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const UpdateArrays p = arrays;
  const UpdateNumbers n = numbers;
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) Step<kRule>(d, p, n, i);
  for (; i < end; ++i) Step<kRule>(one, p, n, i);
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
  const hn::CappedTag<float, 1> one;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t width = args.width, whole = width - width % lanes;
  const UpdateNumbers n = numbers;
  for (int64_t r = 0; r < args.count; ++r) {
    float* row = args.rows[r];
    const UpdateArrays p{.var = row, .slot0 = row + width, .slot1 = row + 2 * width,
                         .slot2 = row + 3 * width, .grad = args.grads + r * width};
    int64_t i = 0;
    for (; i < whole; i += lanes) Step<kRule>(d, p, n, i);
    for (; i < width; ++i) Step<kRule>(one, p, n, i);
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

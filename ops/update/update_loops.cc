#include "ops/update/update_loops.h"

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
  }
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {

HWY_EXPORT(Find);

UpdateFn FindUpdate(UpdateRule rule) { return HWY_DYNAMIC_DISPATCH(Find)(rule); }

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

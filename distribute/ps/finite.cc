#include "distribute/ps/finite.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "distribute/ps/finite.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary::ps {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A float is finite when its exponent is not all ones: magnitudes as integers stay below
// that of infinity.
bool Finite(const float* values, int64_t count) {
  const hn::ScalableTag<uint32_t> d;
  const auto* bits = reinterpret_cast<const uint32_t*>(values);
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto magnitude = hn::Set(d, 0x7fffffffu);
  auto a = hn::Zero(d), b = a, c = a, e = a;
  int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    a = hn::Max(a, hn::And(hn::LoadU(d, bits + i), magnitude));
    b = hn::Max(b, hn::And(hn::LoadU(d, bits + i + lanes), magnitude));
    c = hn::Max(c, hn::And(hn::LoadU(d, bits + i + 2 * lanes), magnitude));
    e = hn::Max(e, hn::And(hn::LoadU(d, bits + i + 3 * lanes), magnitude));
  }
  uint32_t largest = hn::GetLane(hn::MaxOfLanes(d, hn::Max(hn::Max(a, b), hn::Max(c, e))));
  for (; i < count; ++i) {
    const uint32_t m = bits[i] & 0x7fffffffu;
    largest = m > largest ? m : largest;
  }
  return largest < 0x7f800000u;
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary::ps
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary::ps {

HWY_EXPORT(Finite);

bool AllFinite(const float* values, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(Finite)(values, count);
}

}  // namespace tributary::ps
#endif

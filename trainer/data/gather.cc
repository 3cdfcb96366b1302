#include "trainer/data/gather.h"

#include "ops/simd/prefetch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trainer/data/gather.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary::data {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// 1/255 in two pieces: the first product is exact for a byte, so that the sum is
// rounded once, with or without fused multiply-add.
constexpr float kHigh = 0x1.01p-8f;
constexpr float kLow = static_cast<float>(1.0 / 255.0 - 0x1.01p-8);

constexpr size_t kAhead = 256;

void BytesToUnitKernel(const uint8_t* HWY_RESTRICT in, float* HWY_RESTRICT out,
                       size_t count) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<int32_t, decltype(df)> di;
  const hn::Rebind<uint8_t, decltype(df)> du;
  const auto high = hn::Set(df, kHigh);
  const auto low = hn::Set(df, kLow);
  const size_t lanes = hn::Lanes(df);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    // The last step's threads have read these lines: they are taken back in time.
    simd::PrefetchForWrite(out + i + kAhead);
    const auto x = hn::ConvertTo(df, hn::PromoteTo(di, hn::LoadU(du, in + i)));
    hn::StoreU(hn::MulAdd(x, low, hn::Mul(x, high)), df, out + i);
  }
  for (; i < count; ++i) out[i] = static_cast<float>(in[i]) / 255.0f;
}

void ShiftScaleKernel(const float* in, const float* HWY_RESTRICT mean,
                      const float* HWY_RESTRICT scale, size_t period, float* out,
                      size_t count) {
  const hn::ScalableTag<float> df;
  const size_t lanes = hn::Lanes(df);
  for (size_t base = 0; base < count; base += period) {
    size_t i = 0;
    for (; i + lanes <= period; i += lanes) {
      const auto x = hn::Sub(hn::LoadU(df, in + base + i), hn::LoadU(df, mean + i));
      hn::StoreU(hn::Mul(x, hn::LoadU(df, scale + i)), df, out + base + i);
    }
    for (; i < period; ++i) out[base + i] = (in[base + i] - mean[i]) * scale[i];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary::data
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary::data {

HWY_EXPORT(BytesToUnitKernel);
HWY_EXPORT(ShiftScaleKernel);

void BytesToUnit(const uint8_t* in, float* out, size_t count) {
  HWY_DYNAMIC_DISPATCH(BytesToUnitKernel)(in, out, count);
}

void ShiftScale(const float* in, const float* mean, const float* scale, size_t period,
                float* out, size_t count) {
  if (period == 0) return;
  HWY_DYNAMIC_DISPATCH(ShiftScaleKernel)(in, mean, scale, period, out, count);
}

}  // namespace tributary::data
#endif

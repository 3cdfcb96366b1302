#include "distribute/ps/key_set.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "distribute/ps/combine_rows.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary::ps {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kAhead = 8;

void Combine(const int32_t* local, int64_t count, const float* grads, int64_t width, float* sums) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t whole = width / lanes * lanes;
  for (int64_t i = 0; i < count; ++i, grads += width) {
    if (i + kAhead < count && local[i + kAhead] >= 0) {
      __builtin_prefetch(sums + local[i + kAhead] * width, 1);
    }
    if (local[i] < 0) continue;
    float* sum = sums + local[i] * width;
    for (int64_t j = 0; j < whole; j += lanes) {
      hn::StoreU(hn::Add(hn::LoadU(d, sum + j), hn::LoadU(d, grads + j)), d, sum + j);
    }
    for (int64_t j = whole; j < width; ++j) sum[j] += grads[j];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary::ps
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <cstring>

namespace tributary::ps {

HWY_EXPORT(Combine);

void CombineRows(std::span<const int32_t> local, const float* grads, int64_t width, int64_t rows,
                 float* sums) {
  std::memset(sums, 0, static_cast<size_t>(rows * width) * sizeof(float));
  HWY_DYNAMIC_DISPATCH(Combine)
  (local.data(), static_cast<int64_t>(local.size()), grads, width, sums);
}

}  // namespace tributary::ps
#endif

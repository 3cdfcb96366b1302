#include "distribute/ps/key_set.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "distribute/ps/combine_rows.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary::ps {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kAhead = 8;

// The first gradient of a row is stored, so that its sum need not be cleared nor read.
// `kWidth`: that of the rows, or 0 for any.
template <int64_t kWidth>
HWY_INLINE void CombineOf(const int32_t* local, int64_t count, const float* grads,
                          int64_t any_width, float* sums, uint8_t* seen) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t width = kWidth ? kWidth : any_width;
  const int64_t whole = width / lanes * lanes;
  for (int64_t i = 0; i < count; ++i, grads += width) {
    if (i + kAhead < count && local[i + kAhead] >= 0) {
      const float* ahead = sums + local[i + kAhead] * width;
      for (int64_t j = 0; j < width; j += 16) __builtin_prefetch(ahead + j, 1);
    }
    if (local[i] < 0) continue;
    float* sum = sums + local[i] * width;
    if (seen[local[i]]) {
      for (int64_t j = 0; j < whole; j += lanes) {
        hn::StoreU(hn::Add(hn::LoadU(d, sum + j), hn::LoadU(d, grads + j)), d, sum + j);
      }
      for (int64_t j = whole; j < width; ++j) sum[j] += grads[j];
    } else {
      seen[local[i]] = 1;
      for (int64_t j = 0; j < whole; j += lanes) hn::StoreU(hn::LoadU(d, grads + j), d, sum + j);
      for (int64_t j = whole; j < width; ++j) sum[j] = grads[j];
    }
  }
}

void Combine(const int32_t* local, int64_t count, const float* grads, int64_t width, float* sums,
             uint8_t* seen) {
  switch (width) {  // the commonest widths, unrolled
    case 8: return CombineOf<8>(local, count, grads, width, sums, seen);
    case 16: return CombineOf<16>(local, count, grads, width, sums, seen);
    case 32: return CombineOf<32>(local, count, grads, width, sums, seen);
    case 64: return CombineOf<64>(local, count, grads, width, sums, seen);
    default: return CombineOf<0>(local, count, grads, width, sums, seen);
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
  thread_local std::vector<uint8_t> seen;
  seen.assign(static_cast<size_t>(rows), 0);
  HWY_DYNAMIC_DISPATCH(Combine)
  (local.data(), static_cast<int64_t>(local.size()), grads, width, sums, seen.data());
  for (int64_t r = 0; r < rows; ++r) {
    if (!seen[r]) std::memset(sums + r * width, 0, static_cast<size_t>(width) * sizeof(float));
  }
}

}  // namespace tributary::ps
#endif

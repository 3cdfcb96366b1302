#include "ops/nn/column_affine.h"

#include "core/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/nn/column_affine.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <bool kScaled, bool kTwo, bool kRelu, class D>
HWY_INLINE void One(D d, const float* x, const float* a, const float* y, const float* b,
                    const float* c, float* out) {
  auto value = hn::LoadU(d, c);
  if (kTwo) value = hn::MulAdd(hn::LoadU(d, y), hn::LoadU(d, b), value);
  value = kScaled ? hn::MulAdd(hn::LoadU(d, x), hn::LoadU(d, a), value)
                  : hn::Add(hn::LoadU(d, x), value);
  if (kRelu) value = hn::Max(hn::Zero(d), value);  // NaN stays
  hn::StoreU(value, d, out);
}

template <bool kScaled, bool kTwo, bool kRelu = false>
HWY_INLINE void Rows(const float* x, const float* a, const float* y, const float* b,
                     const float* c, float* out, int64_t rows, int64_t columns) {
  const hn::CappedTag<float, 16> d;
  const hn::CappedTag<float, 1> one;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < rows; ++i) {
    int64_t j = 0;
    for (; j + lanes <= columns; j += lanes) {
      One<kScaled, kTwo, kRelu>(d, x + j, a + j, y + j, b + j, c + j, out + j);
    }
    for (; j < columns; ++j) {
      One<kScaled, kTwo, kRelu>(one, x + j, a + j, y + j, b + j, c + j, out + j);
    }
    x += columns;
    out += columns;
    if (kTwo) y += columns;
  }
}

void Affine(const float* x, const float* a, const float* y, const float* b, const float* c,
            float* out, int64_t rows, int64_t columns, bool relu) {
  if (y) {
    Rows<true, true>(x, a, y, b, c, out, rows, columns);
  } else if (a) {
    Rows<true, false>(x, a, x, a, c, out, rows, columns);
  } else if (relu) {
    Rows<false, false, true>(x, x, x, x, c, out, rows, columns);
  } else {
    Rows<false, false>(x, x, x, x, c, out, rows, columns);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {

HWY_EXPORT(Affine);

void ColumnAffine(const float* x, const float* a, const float* y, const float* b,
                  const float* c, float* out, int64_t rows, int64_t columns, bool relu) {
  ParallelFor(rows, 1 + (1 << 14) / (columns + 1), [&](int64_t begin, int64_t end) {
    const int64_t at = begin * columns;
    HWY_DYNAMIC_DISPATCH(Affine)
    (x + at, a, y ? y + at : nullptr, b, c, out + at, end - begin, columns, relu);
  });
}

}  // namespace tributary
#endif

#include "ops/nn/softmax_rows.h"

#include "core/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/nn/softmax_rows.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
#include "ops/linalg/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

// NaN comes through: Max returns its second operand then.
HWY_INLINE V Exp(V x) {
  const D d;
  return hn::Exp(d, hn::Max(hn::Set(d, -88.0f), x));
}

// The first lanes of v; -inf elsewhere.
HWY_INLINE V OrLowest(V v, int64_t count) {
  const D d;
  return hn::IfThenElse(hn::FirstN(d, static_cast<size_t>(count)), v,
                        hn::Set(d, -std::numeric_limits<float>::infinity()));
}

HWY_INLINE float RowMax(const float* x, int64_t columns) {
  const D d;
  V max = hn::Set(d, -std::numeric_limits<float>::infinity());
  int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) max = hn::Max(max, hn::LoadU(d, x + j));
  if (j < columns) {
    max = hn::Max(max, OrLowest(LoadPartial(d, x + j, columns - j), columns - j));
  }
  return hn::GetLane(hn::MaxOfLanes(d, max));
}

// out = exp(x - max); returns its sum.
HWY_INLINE float RowExp(const float* x, float* out, int64_t columns, float max) {
  const D d;
  const V shift = hn::Set(d, max);
  V sum = hn::Zero(d);
  int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) {
    const V e = Exp(hn::Sub(hn::LoadU(d, x + j), shift));
    sum = hn::Add(sum, e);
    hn::StoreU(e, d, out + j);
  }
  if (j < columns) {
    const int64_t rest = columns - j;
    const V e = hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(rest)),
                                   Exp(hn::Sub(LoadPartial(d, x + j, rest), shift)));
    sum = hn::Add(sum, e);
    StorePartial(e, d, out + j, rest);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

// out = x * factor + offset.
HWY_INLINE void RowAffine(const float* x, float* out, int64_t columns, float factor,
                          float offset) {
  const D d;
  const V f = hn::Set(d, factor), o = hn::Set(d, offset);
  int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) {
    hn::StoreU(hn::MulAdd(hn::LoadU(d, x + j), f, o), d, out + j);
  }
  if (j < columns) {
    const int64_t rest = columns - j;
    StorePartial(hn::MulAdd(LoadPartial(d, x + j, rest), f, o), d, out + j, rest);
  }
}

void Softmax(const float* x, float* out, int64_t rows, int64_t columns) {
  for (; rows > 0; --rows, x += columns, out += columns) {
    const float sum = RowExp(x, out, columns, RowMax(x, columns));
    RowAffine(out, out, columns, 1.0f / sum, 0.0f);
  }
}

void LogSoftmax(const float* x, float* out, int64_t rows, int64_t columns) {
  const D d;
  for (; rows > 0; --rows, x += columns, out += columns) {
    const float max = RowMax(x, columns);
    const V shift = hn::Set(d, max);
    V sum = hn::Zero(d);
    for (int64_t j = 0; j < columns; j += kLanes) {
      const int64_t rest = std::min(kLanes, columns - j);
      sum = hn::Add(sum, hn::IfThenElseZero(
                             hn::FirstN(d, static_cast<size_t>(rest)),
                             Exp(hn::Sub(LoadPartial(d, x + j, rest), shift))));
    }
    RowAffine(x, out, columns, 1.0f, -max - std::log(hn::GetLane(hn::SumOfLanes(d, sum))));
  }
}

// gradient and loss of one row but for the label's part; returns log(sum exp(x)).
HWY_INLINE float RowCrossEntropy(const float* x, float* gradient, int64_t columns,
                                 float scale) {
  const float max = RowMax(x, columns);
  const float sum = RowExp(x, gradient, columns, max);
  RowAffine(gradient, gradient, columns, scale / sum, 0.0f);
  return max + std::log(sum);
}

void CrossEntropy(const float* x, const float* labels, float* loss, float* gradient,
                  int64_t rows, int64_t columns, float scale) {
  const D d;
  const V minus_scale = hn::Set(d, -scale);
  for (int64_t i = 0; i < rows; ++i, x += columns, labels += columns, gradient += columns) {
    const V log_sum = hn::Set(d, RowCrossEntropy(x, gradient, columns, scale));
    V total = hn::Zero(d);
    for (int64_t j = 0; j < columns; j += kLanes) {
      const int64_t rest = std::min(kLanes, columns - j);
      const V p = LoadPartial(d, labels + j, rest);
      total = hn::MulAdd(p, hn::Sub(log_sum, LoadPartial(d, x + j, rest)), total);
      const V g = LoadPartial(d, gradient + j, rest);
      StorePartial(hn::MulAdd(p, minus_scale, g), d, gradient + j, rest);
    }
    loss[i] = hn::GetLane(hn::SumOfLanes(d, total));
  }
}

template <typename Label>
void SparseCrossEntropy(const float* x, const Label* labels, float* loss, float* gradient,
                        int64_t rows, int64_t columns, float scale) {
  for (int64_t i = 0; i < rows; ++i, x += columns, gradient += columns) {
    const float at_label = x[labels[i]];
    loss[i] = RowCrossEntropy(x, gradient, columns, scale) - at_label;
    gradient[labels[i]] -= scale;
  }
}
void SparseCrossEntropy32(const float* x, const int32_t* labels, float* loss, float* gradient,
                          int64_t rows, int64_t columns, float scale) {
  SparseCrossEntropy(x, labels, loss, gradient, rows, columns, scale);
}
void SparseCrossEntropy64(const float* x, const int64_t* labels, float* loss, float* gradient,
                          int64_t rows, int64_t columns, float scale) {
  SparseCrossEntropy(x, labels, loss, gradient, rows, columns, scale);
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {

HWY_EXPORT(Softmax);
HWY_EXPORT(LogSoftmax);
HWY_EXPORT(CrossEntropy);
HWY_EXPORT(SparseCrossEntropy32);
HWY_EXPORT(SparseCrossEntropy64);

namespace {

int64_t Grain(int64_t columns) { return 1 + 8192 / (columns + 1); }

}  // namespace

void SoftmaxRows(const float* x, float* out, int64_t rows, int64_t columns) {
  ParallelFor(rows, Grain(columns), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(Softmax)
    (x + begin * columns, out + begin * columns, end - begin, columns);
  });
}

void LogSoftmaxRows(const float* x, float* out, int64_t rows, int64_t columns) {
  ParallelFor(rows, Grain(columns), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(LogSoftmax)
    (x + begin * columns, out + begin * columns, end - begin, columns);
  });
}

void CrossEntropyRows(const float* x, const float* labels, float* loss, float* gradient,
                      int64_t rows, int64_t columns, float scale) {
  ParallelFor(rows, Grain(columns), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(CrossEntropy)
    (x + begin * columns, labels + begin * columns, loss + begin, gradient + begin * columns,
     end - begin, columns, scale);
  });
}

template <typename Label>
void SparseCrossEntropyRows(const float* x, const Label* labels, float* loss, float* gradient,
                            int64_t rows, int64_t columns, float scale) {
  ParallelFor(rows, Grain(columns), [&](int64_t begin, int64_t end) {
    const auto run = [&](auto fn) {
      fn(x + begin * columns, labels + begin, loss + begin, gradient + begin * columns,
         end - begin, columns, scale);
    };
    if constexpr (std::is_same_v<Label, int32_t>) {
      run(HWY_DYNAMIC_DISPATCH(SparseCrossEntropy32));
    } else {
      run(HWY_DYNAMIC_DISPATCH(SparseCrossEntropy64));
    }
  });
}
template void SparseCrossEntropyRows<int32_t>(const float*, const int32_t*, float*, float*,
                                              int64_t, int64_t, float);
template void SparseCrossEntropyRows<int64_t>(const float*, const int64_t*, float*, float*,
                                              int64_t, int64_t, float);

}  // namespace tributary
#endif

#include "ops/nn/layer_norm_rows.h"

#include "core/base/parallel.h"
#include "ops/nn/column_sums.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/nn/layer_norm_rows.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "ops/linalg/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

HWY_INLINE V Keep(V v, int64_t count) {
  return hn::IfThenElseZero(hn::FirstN(D(), static_cast<size_t>(count)), v);
}
HWY_INLINE float Total(V v) { return hn::GetLane(hn::SumOfLanes(D(), v)); }

void Normalize(const float* x, const float* gamma, const float* beta, float epsilon, float* y,
               float* mean, float* inverse, int64_t rows, int64_t columns) {
  const D d;
  for (int64_t i = 0; i < rows; ++i, x += columns, y += columns) {
    V sum = hn::Zero(d), squares = hn::Zero(d);
    for (int64_t j = 0; j < columns; j += kLanes) {
      sum = hn::Add(sum, LoadPartial(d, x + j, std::min(kLanes, columns - j)));
    }
    mean[i] = Total(sum) / static_cast<float>(columns);
    const V m = hn::Set(d, mean[i]);
    for (int64_t j = 0; j < columns; j += kLanes) {
      const int64_t n = std::min(kLanes, columns - j);
      const V u = Keep(hn::Sub(LoadPartial(d, x + j, n), m), n);
      squares = hn::MulAdd(u, u, squares);
    }
    inverse[i] = 1.0f / std::sqrt(Total(squares) / static_cast<float>(columns) + epsilon);
    const V r = hn::Set(d, inverse[i]);
    for (int64_t j = 0; j < columns; j += kLanes) {
      const int64_t n = std::min(kLanes, columns - j);
      const V u = hn::Mul(hn::Sub(LoadPartial(d, x + j, n), m), r);
      StorePartial(hn::MulAdd(u, LoadPartial(d, gamma + j, n), LoadPartial(d, beta + j, n)), d,
                   y + j, n);
    }
  }
}

// dgamma and dbeta: sums over these rows.
void NormalizeGrad(const float* dy, const float* x, const float* gamma, const float* mean,
                   const float* inverse, float* dx, float* dgamma, float* dbeta, int64_t rows,
                   int64_t columns) {
  const D d;
  std::fill_n(dgamma, columns, 0.0f);
  std::fill_n(dbeta, columns, 0.0f);
  for (int64_t i = 0; i < rows; ++i, x += columns, dy += columns, dx += columns) {
    const V m = hn::Set(d, mean[i]), r = hn::Set(d, inverse[i]);
    V sum = hn::Zero(d), product = hn::Zero(d);
    for (int64_t j = 0; j < columns; j += kLanes) {
      const int64_t n = std::min(kLanes, columns - j);
      const V g = LoadPartial(d, dy + j, n);
      const V u = hn::Mul(hn::Sub(LoadPartial(d, x + j, n), m), r);
      const V scaled = hn::Mul(g, LoadPartial(d, gamma + j, n));
      sum = hn::Add(sum, scaled);
      product = hn::MulAdd(scaled, u, product);
      StorePartial(hn::MulAdd(g, u, LoadPartial(d, dgamma + j, n)), d, dgamma + j, n);
      StorePartial(hn::Add(g, LoadPartial(d, dbeta + j, n)), d, dbeta + j, n);
    }
    const V a = hn::Set(d, Total(sum) / static_cast<float>(columns));
    const V b = hn::Set(d, Total(product) / static_cast<float>(columns));
    for (int64_t j = 0; j < columns; j += kLanes) {
      const int64_t n = std::min(kLanes, columns - j);
      const V u = hn::Mul(hn::Sub(LoadPartial(d, x + j, n), m), r);
      const V scaled = hn::Mul(LoadPartial(d, dy + j, n), LoadPartial(d, gamma + j, n));
      StorePartial(hn::Mul(r, hn::NegMulAdd(u, b, hn::Sub(scaled, a))), d, dx + j, n);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {

HWY_EXPORT(Normalize);
HWY_EXPORT(NormalizeGrad);

namespace {

// Chunks of rows depend on the sizes alone, so that the sums' bits do.
int64_t ChunkRows(int64_t rows, int64_t columns) {
  return std::max<int64_t>({1, 16384 / (columns + 1), (rows + 63) / 64});
}
int64_t Chunks(int64_t rows, int64_t columns) {
  const int64_t chunk = ChunkRows(rows, columns);
  return std::max<int64_t>(1, (rows + chunk - 1) / chunk);
}

}  // namespace

void LayerNormRows(const float* x, const float* gamma, const float* beta, float epsilon,
                   float* y, float* mean, float* inverse, int64_t rows, int64_t columns) {
  ParallelFor(rows, 1 + (1 << 13) / (columns + 1), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(Normalize)
    (x + begin * columns, gamma, beta, epsilon, y + begin * columns, mean + begin,
     inverse + begin, end - begin, columns);
  });
}

size_t LayerNormGradScratch(int64_t rows, int64_t columns) {
  const int64_t chunks = Chunks(rows, columns);
  return chunks > 1 ? 2 * chunks * columns * sizeof(float) : 0;
}

void LayerNormGradRows(const float* dy, const float* x, const float* gamma, const float* mean,
                       const float* inverse, float* dx, float* dgamma, float* dbeta,
                       int64_t rows, int64_t columns, void* scratch) {
  const int64_t chunk = ChunkRows(rows, columns), chunks = Chunks(rows, columns);
  float* gammas = chunks > 1 ? static_cast<float*>(scratch) : dgamma;
  float* betas = chunks > 1 ? gammas + chunks * columns : dbeta;
  ParallelFor(chunks, 2, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const int64_t row = c * chunk, at = row * columns;
      HWY_DYNAMIC_DISPATCH(NormalizeGrad)
      (dy + at, x + at, gamma, mean + row, inverse + row, dx + at, gammas + c * columns,
       betas + c * columns, std::min(chunk, rows - row), columns);
    }
  });
  if (chunks == 1) return;
  SumColumns(gammas, chunks, columns, dgamma);
  SumColumns(betas, chunks, columns, dbeta);
}

}  // namespace tributary
#endif

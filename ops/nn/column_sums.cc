#include "ops/nn/column_sums.h"

#include "core/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/nn/column_sums.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

// Calls body(tag, column) over vectors of columns, then over single columns.
template <typename Body>
HWY_INLINE void OverColumns(int64_t columns, const Body& body) {
  int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) body(D(), j);
  for (; j < columns; ++j) body(hn::CappedTag<float, 1>(), j);
}

struct SumBody {
  const float* x;
  int64_t rows, stride;
  float* out;
  template <typename Tag>
  HWY_INLINE void operator()(Tag d, int64_t j) const {
    auto a = hn::Zero(d), b = hn::Zero(d), c = hn::Zero(d), e = hn::Zero(d);
    const float* p = x + j;
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4, p += 4 * stride) {
      a = hn::Add(a, hn::LoadU(d, p));
      b = hn::Add(b, hn::LoadU(d, p + stride));
      c = hn::Add(c, hn::LoadU(d, p + 2 * stride));
      e = hn::Add(e, hn::LoadU(d, p + 3 * stride));
    }
    for (; i < rows; ++i, p += stride) a = hn::Add(a, hn::LoadU(d, p));
    hn::StoreU(hn::Add(hn::Add(a, b), hn::Add(c, e)), d, out + j);
  }
};

struct SquaresBody {
  const float* x;
  const float* mean;
  int64_t rows, stride;
  float* out;
  template <typename Tag>
  HWY_INLINE void operator()(Tag d, int64_t j) const {
    auto a = hn::Zero(d), b = hn::Zero(d);
    const auto m = hn::LoadU(d, mean + j);
    const float* p = x + j;
    int64_t i = 0;
    for (; i + 2 <= rows; i += 2, p += 2 * stride) {
      const auto u = hn::Sub(hn::LoadU(d, p), m), v = hn::Sub(hn::LoadU(d, p + stride), m);
      a = hn::MulAdd(u, u, a);
      b = hn::MulAdd(v, v, b);
    }
    for (; i < rows; ++i, p += stride) {
      const auto u = hn::Sub(hn::LoadU(d, p), m);
      a = hn::MulAdd(u, u, a);
    }
    hn::StoreU(hn::Add(a, b), d, out + j);
  }
};

struct ProductsBody {
  const float* y;
  const float* x;
  const float* mean;
  int64_t rows, stride;
  float* sum;
  float* product;
  template <typename Tag>
  HWY_INLINE void operator()(Tag d, int64_t j) const {
    auto s = hn::Zero(d), q = hn::Zero(d);
    const auto m = hn::LoadU(d, mean + j);
    const float* py = y + j;
    const float* px = x + j;
    for (int64_t i = 0; i < rows; ++i, py += stride, px += stride) {
      const auto v = hn::LoadU(d, py);
      s = hn::Add(s, v);
      q = hn::MulAdd(v, hn::Sub(hn::LoadU(d, px), m), q);
    }
    hn::StoreU(s, d, sum + j);
    hn::StoreU(q, d, product + j);
  }
};

void SumRows(const float* x, int64_t rows, int64_t columns, float* out) {
  OverColumns(columns, SumBody{x, rows, columns, out});
}
void SquareRows(const float* x, const float* mean, int64_t rows, int64_t columns, float* out) {
  OverColumns(columns, SquaresBody{x, mean, rows, columns, out});
}
void ProductRows(const float* y, const float* x, const float* mean, int64_t rows,
                 int64_t columns, float* sum, float* product) {
  OverColumns(columns, ProductsBody{y, x, mean, rows, columns, sum, product});
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {

HWY_EXPORT(SumRows);
HWY_EXPORT(SquareRows);
HWY_EXPORT(ProductRows);

void SumColumns(const float* x, int64_t rows, int64_t columns, float* out) {
  HWY_DYNAMIC_DISPATCH(SumRows)(x, rows, columns, out);
}

ColumnSums::ColumnSums(int64_t rows, int64_t columns, int outputs)
    : rows_(rows), columns_(columns), outputs_(outputs) {
  // About 64 KiB a chunk, at most 64 chunks.
  chunk_ = std::max<int64_t>({1, 16384 / std::max<int64_t>(1, columns), (rows + 63) / 64});
  chunks_ = (rows + chunk_ - 1) / chunk_;
}

size_t ColumnSums::scratch_bytes() const {
  return chunks_ > 1 ? chunks_ * columns_ * outputs_ * sizeof(float) : 0;
}

// fn(first row, rows, out0, out1).
template <typename Fn>
void ColumnSums::Run(float* out0, float* out1, void* scratch, const Fn& fn) const {
  if (chunks_ <= 1) {
    fn(0, rows_, out0, out1);
    return;
  }
  float* partial0 = static_cast<float*>(scratch);
  float* partial1 = partial0 + chunks_ * columns_;
  ParallelFor(chunks_, 4, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const int64_t first = c * chunk_;
      fn(first, std::min(chunk_, rows_ - first), partial0 + c * columns_,
         partial1 + c * columns_);
    }
  });
  HWY_DYNAMIC_DISPATCH(SumRows)(partial0, chunks_, columns_, out0);
  if (out1) HWY_DYNAMIC_DISPATCH(SumRows)(partial1, chunks_, columns_, out1);
}

void ColumnSums::Sum(const float* x, float* out, void* scratch) const {
  Run(out, nullptr, scratch, [&](int64_t first, int64_t rows, float* to, float*) {
    HWY_DYNAMIC_DISPATCH(SumRows)(x + first * columns_, rows, columns_, to);
  });
}

void ColumnSums::Squares(const float* x, const float* mean, float* out, void* scratch) const {
  Run(out, nullptr, scratch, [&](int64_t first, int64_t rows, float* to, float*) {
    HWY_DYNAMIC_DISPATCH(SquareRows)(x + first * columns_, mean, rows, columns_, to);
  });
}

void ColumnSums::Products(const float* y, const float* x, const float* mean, float* sum,
                          float* product, void* scratch) const {
  Run(sum, product, scratch, [&](int64_t first, int64_t rows, float* to0, float* to1) {
    HWY_DYNAMIC_DISPATCH(ProductRows)
    (y + first * columns_, x + first * columns_, mean, rows, columns_, to0, to1);
  });
}

}  // namespace tributary
#endif

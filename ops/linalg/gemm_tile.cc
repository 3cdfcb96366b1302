#include "ops/linalg/gemm_tile.h"

#include "ops/simd/prefetch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/linalg/gemm_tile.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/cache_control.h>
#include <hwy/highway.h>
#include "ops/linalg/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
// Accumulators fill the register file but for the operands.
constexpr int kMaxRows = kLanes == 16 ? 14 : 6;

// Masks cost nothing there, so one version serves full and partial vectors.
constexpr bool kAlwaysMasked = kLanes == 16;

// The last vector of a row may be partial.
template <bool kFull>
HWY_INLINE V LoadColumns(const float* p, int count) {
  if constexpr (kFull) return hn::LoadU(D(), p);
  return LoadPartial(D(), p, count);
}

template <bool kFull>
HWY_INLINE void StoreColumns(V v, float* p, int count) {
  if constexpr (kFull) {
    hn::StoreU(v, D(), p);
  } else {
    StorePartial(v, D(), p, count);
  }
}

// acc[r][v] = fn(acc[r][v], what lies there in rows `ld` apart).
template <int kRows, int kVectors, bool kFull, class Fn>
HWY_INLINE void Merge(V (&acc)[kRows][kVectors], const float* from, int64_t ld, int last,
                      const Fn& fn) {
#pragma GCC unroll 14
  for (int r = 0; r < kRows; ++r) {
    const float* row = from + r * ld;
#pragma GCC unroll 2
    for (int v = 0; v + 1 < kVectors; ++v) {
      acc[r][v] = fn(acc[r][v], hn::LoadU(D(), row + v * kLanes));
    }
    constexpr int v = kVectors - 1;
    acc[r][v] = fn(acc[r][v], LoadColumns<kFull>(row + v * kLanes, last));
  }
}

template <int kRows, int kVectors, bool kFull>
HWY_INLINE void Finish(V (&acc)[kRows][kVectors], const GemmTile& t, int last) {
  const D d;
  const V zero = hn::Zero(d);
  if (t.partial) {
    Merge<kRows, kVectors, kFull>(acc, t.partial, t.ldc, last,
                                  [](V x, V other) HWY_ATTR { return hn::Add(x, other); });
  }
  if (t.bias) {
    V bias[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v + 1 < kVectors; ++v) bias[v] = hn::LoadU(d, t.bias + v * kLanes);
    bias[kVectors - 1] = LoadColumns<kFull>(t.bias + (kVectors - 1) * kLanes, last);
#pragma GCC unroll 14
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::Add(acc[r][v], bias[v]);
  }
  if (t.relu) {
#pragma GCC unroll 14
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::Max(zero, acc[r][v]);  // NaN stays
  }
  if (t.mask) {
    Merge<kRows, kVectors, kFull>(acc, t.mask, t.ldmask, last, [&](V x, V mask) HWY_ATTR {
      return hn::IfThenElseZero(hn::Gt(mask, zero), x);
    });
  }
  if (t.add) {
    Merge<kRows, kVectors, kFull>(acc, t.c, t.ldc, last,
                                  [](V x, V c) HWY_ATTR { return hn::Add(c, x); });
  }
#pragma GCC unroll 14
  for (int r = 0; r < kRows; ++r) {
    float* row = t.c + r * t.ldc;
#pragma GCC unroll 2
    for (int v = 0; v + 1 < kVectors; ++v) hn::StoreU(acc[r][v], d, row + v * kLanes);
    StoreColumns<kFull>(acc[r][kVectors - 1], row + (kVectors - 1) * kLanes, last);
  }
}

// Rows of B lie apart, so the machine's own prefetcher sees no stream; they come from
// the second cache, or (memory shared by ranks) from another core's.
constexpr int64_t kRowsAhead = 24;

template <int kRows, int kVectors, bool kTransposed, bool kFull>
void Tile(const GemmTile& t, int last) {
  const D d;
  V acc[kRows][kVectors];
  if (t.accumulate) {
#pragma GCC unroll 14
    for (int r = 0; r < kRows; ++r) {
      const float* row = t.c + r * t.ldc;
#pragma GCC unroll 2
      for (int v = 0; v + 1 < kVectors; ++v) acc[r][v] = hn::LoadU(d, row + v * kLanes);
      acc[r][kVectors - 1] = LoadColumns<kFull>(row + (kVectors - 1) * kLanes, last);
    }
  } else {
#pragma GCC unroll 14
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        acc[r][v] = hn::Zero(d);
        simd::PrefetchForWrite(t.c + r * t.ldc + v * kLanes);
      }
    }
  }
  const int64_t lda = t.lda, ldb = t.ldb;
  for (int64_t s = 0; s < t.segments; ++s) {
    const float* a = t.a + s * t.a_segment;
    const float* b = t.b + s * t.b_segment;
    for (int64_t k = t.k; k > 0; --k) {
      V bv[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v + 1 < kVectors; ++v) bv[v] = hn::LoadU(d, b + v * kLanes);
      bv[kVectors - 1] = LoadColumns<kFull>(b + (kVectors - 1) * kLanes, last);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) hwy::Prefetch(b + kRowsAhead * ldb + v * kLanes);
#pragma GCC unroll 14
      for (int r = 0; r < kRows; ++r) {
        const V av = hn::Set(d, a[kTransposed ? r : r * lda]);
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::MulAdd(av, bv[v], acc[r][v]);
      }
      a += kTransposed ? lda : 1;
      b += ldb;
    }
  }
  Finish<kRows, kVectors, kFull>(acc, t, last);
}

using TileFn = void (*)(const GemmTile&, int);

template <int kVectors, bool kTransposed, bool kFull, size_t... kRows>
constexpr std::array<TileFn, sizeof...(kRows)> TileRow(std::index_sequence<kRows...>) {
  return {&Tile<kRows + 1, kVectors, kTransposed, kFull && !kAlwaysMasked>...};
}
template <int kVectors, bool kTransposed, bool kFull>
constexpr auto kTiles =
    TileRow<kVectors, kTransposed, kFull>(std::make_index_sequence<kMaxRows>());

template <int kVectors, bool kTransposed>
HWY_INLINE TileFn FindTile(int rows, bool full) {
  return full ? kTiles<kVectors, kTransposed, true>[rows - 1]
              : kTiles<kVectors, kTransposed, false>[rows - 1];
}

void RunTile(const GemmTile& t, int rows, int columns, bool transposed) {
  const int vectors = (columns + kLanes - 1) / kLanes;
  const int last = columns - (vectors - 1) * kLanes;
  const bool full = last == kLanes;
  TileFn fn = vectors == 2 ? (transposed ? FindTile<2, true>(rows, full)
                                         : FindTile<2, false>(rows, full))
                           : (transposed ? FindTile<1, true>(rows, full)
                                         : FindTile<1, false>(rows, full));
  fn(t, last);
}

// Four rows at a time.
void Transpose(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to,
               int64_t to_stride, int64_t padded) {
  int64_t r = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::CappedTag<float, 4> d4;
  for (; r + 4 <= rows; r += 4) {
    const float* p = from + r * from_stride;
    int64_t c = 0;
    for (; c + 4 <= columns; c += 4) {
      const auto r0 = hn::LoadU(d4, p + c), r1 = hn::LoadU(d4, p + from_stride + c);
      const auto r2 = hn::LoadU(d4, p + 2 * from_stride + c);
      const auto r3 = hn::LoadU(d4, p + 3 * from_stride + c);
      const auto t0 = hn::InterleaveLower(d4, r0, r2), t1 = hn::InterleaveUpper(d4, r0, r2);
      const auto t2 = hn::InterleaveLower(d4, r1, r3), t3 = hn::InterleaveUpper(d4, r1, r3);
      float* q = to + c * to_stride + r;
      hn::StoreU(hn::InterleaveLower(d4, t0, t2), d4, q);
      hn::StoreU(hn::InterleaveUpper(d4, t0, t2), d4, q + to_stride);
      hn::StoreU(hn::InterleaveLower(d4, t1, t3), d4, q + 2 * to_stride);
      hn::StoreU(hn::InterleaveUpper(d4, t1, t3), d4, q + 3 * to_stride);
    }
    for (; c < columns; ++c) {
      for (int i = 0; i < 4; ++i) to[c * to_stride + r + i] = p[i * from_stride + c];
    }
  }
#endif
  for (; r < padded; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      to[c * to_stride + r] = r < rows ? from[r * from_stride + c] : 0.0f;
    }
  }
}

const GemmTiles* Tiles() {
  static const GemmTiles tiles = {kMaxRows, 2 * kLanes, kLanes, &RunTile, &Transpose};
  return &tiles;
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {
HWY_EXPORT(Tiles);
const GemmTiles& BestGemmTiles() {
  static const GemmTiles& tiles = *HWY_DYNAMIC_DISPATCH(Tiles)();
  return tiles;
}
}  // namespace tributary
#endif

#pragma once
// The inner loops of our matrix products and convolutions: one register tile of C
// is computed whole, its operands are read where they lie.
//
// Every element of a tile is one chain of fused multiply-adds in the order of k, so its
// bits depend neither on the tiling nor on the number of threads.

#include <cstdint>

namespace tributary {

// c[i, j] (+)= sum over segments s and k of A(i, k, s) * b[s * b_segment + k * ldb + j]
//   A(i, k, s) = a[s * a_segment + i * lda + k], or transposed a[... + k * lda + i].
// Then, in this order, what is given: + partial[i, j]; + bias[j]; max(., 0); 0 where mask <= 0;
// + c[i, j].
struct GemmTile {
  const float* a = nullptr;
  const float* b = nullptr;
  float* c = nullptr;
  int64_t lda = 0, ldb = 0, ldc = 0;
  int64_t k = 0;
  int64_t segments = 1, a_segment = 0, b_segment = 0;
  const float* partial = nullptr;  // the sum over other k, laid out as c
  const float* bias = nullptr;
  const float* mask = nullptr;  // laid out as c, with its own leading dimension
  int64_t ldmask = 0;
  bool relu = false;
  bool accumulate = false;  // the chain begins with c[i, j]
  bool add = false;         // c[i, j] is added to the whole
};

// The tiles of the best instruction set of this machine.
struct GemmTiles {
  int max_rows;     // of a tile
  int max_columns;  // of a tile
  int lanes;
  // rows in [1, max_rows], columns in [1, max_columns].
  void (*run)(const GemmTile& tile, int rows, int columns, bool transposed_a);
  // to[k, j] = from[j, k] for j < rows, k < columns; columns of `to` from rows up to
  // `padded` become zero.
  void (*transpose)(const float* from, int64_t from_stride, int64_t rows, int64_t columns,
                    float* to, int64_t to_stride, int64_t padded);
};
const GemmTiles& BestGemmTiles();

// Forking the team costs about a microsecond: worth it from this much work a thread.
inline constexpr int64_t kGrainFlops = 400'000;

// Columns [begin, end) of x[rows, width] will be read.
inline void FetchColumns(const float* x, int64_t width, int64_t rows, int64_t begin,
                         int64_t end) {
  constexpr int64_t kLine = 16;  // floats
  for (const float* row = x; row < x + rows * width; row += width) {
    for (int64_t i = begin; i < end; i += kLine) __builtin_prefetch(row + i);
    __builtin_prefetch(row + end - 1);
  }
}

}  // namespace tributary

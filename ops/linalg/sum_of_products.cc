#include "ops/linalg/sum_of_products.h"

#include <algorithm>

#include "core/base/parallel.h"
#include "ops/linalg/gemm_tile.h"

namespace tributary {
namespace {

// Part of the sum: whole rows, or some columns of one.
struct Block {
  int64_t row, rows, column, columns;
  float* c;
};

void RunTiles(std::span<const Factors> factors, int64_t m, int64_t n, const Block& block,
              const GemmTiles& tiles) {
  for (int64_t column = 0; column < block.columns; column += tiles.max_columns) {
    GemmTile t;
    t.c = block.c + column;
    t.lda = m;
    t.ldb = t.ldc = n;
    for (const Factors& f : factors) {
      t.a = f.a + block.row;
      t.b = f.b + block.column + column;
      t.k = f.rows;
      tiles.run(t, static_cast<int>(block.rows),
                static_cast<int>(std::min<int64_t>(tiles.max_columns, block.columns - column)),
                true);
      t.add = true;
    }
  }
}

}  // namespace

void SumOfProducts(std::span<const Factors> factors, int64_t m, int64_t n, int64_t begin,
                   int64_t end, float* c) {
  const GemmTiles& tiles = BestGemmTiles();
  const auto part_of_row = [&](int64_t from, int64_t to) {
    if (from < to) RunTiles(factors, m, n, {from / n, 1, from % n, to - from, c + from - begin}, tiles);
  };
  const int64_t first = (begin + n - 1) / n, last = end / n;  // whole rows
  if (first > last) return part_of_row(begin, end);  // within one
  part_of_row(begin, first * n);
  part_of_row(last * n, end);
  const int64_t blocks = (last - first + tiles.max_rows - 1) / tiles.max_rows;
  if (blocks == 0) return;
  int64_t rows = 0;
  for (const Factors& f : factors) {
    FetchColumns(f.b, f.rows * n, 1, 0, f.rows * n);
    rows += f.rows;
  }
  const auto row_of = [&](int64_t block) { return first + block * (last - first) / blocks; };
  const int64_t flops = 2 * rows * n * tiles.max_rows;
  ParallelFor(blocks, std::max<int64_t>(1, kGrainFlops / std::max<int64_t>(1, flops)),
              [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      const int64_t row = row_of(i), next = row_of(i + 1);
      if (i + 1 < to) {
        for (const Factors& f : factors) FetchColumns(f.a, m, f.rows, next, row_of(i + 2));
      }
      RunTiles(factors, m, n, {row, next - row, 0, n, c + row * n - begin}, tiles);
    }
  });
}

}  // namespace tributary

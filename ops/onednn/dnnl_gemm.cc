// Large matrix products go to oneDNN's sgemm. (Its matmul primitive takes bias and
// relu along, but is no faster here and fills a hash map on every execution.)
//
// C is cut into a grid whose parts the threads of our team share, so that there is one team
// for all loops; oneDNN's own (OpenMP) would fight with it for the cores. The shape alone
// decides the grid: oneDNN chooses its kernel, and with it the blocks of k, by the size of a
// part, and the bits must not depend on the number of threads.

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include <bit>
#include <limits>

#include "core/base/parallel.h"
#include "ops/linalg/gemm.h"
#include "ops/nn/activation_loops.h"
#include "ops/nn/column_affine.h"

namespace tributary {
namespace {

// oneDNN makes no threads for calls of this thread.
class WithoutOpenMp {
 public:
  WithoutOpenMp() : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~WithoutOpenMp() {
    if (before_ != 1) omp_set_num_threads(before_);
  }
  WithoutOpenMp(const WithoutOpenMp&) = delete;

 private:
  const int before_;
};

struct Grid {
  int64_t rows, columns;
};

// The one of `parts` (a power of two) that reads least: each part packs its rows of A and
// columns of B.
Grid Cut(int64_t m, int64_t n, int64_t parts) {
  Grid best{1, parts};
  double least = std::numeric_limits<double>::infinity();
  for (int64_t rows = 1; rows <= parts; rows *= 2) {
    const Grid grid{rows, parts / rows};
    const double read = static_cast<double>(m) / static_cast<double>(grid.rows) +
                        static_cast<double>(n) / static_cast<double>(grid.columns);
    if (read < least) best = grid, least = read;
  }
  return best;
}

class DnnlGemm final : public Gemm {
 public:
  explicit DnnlGemm(const GemmSpec& spec) : s_(spec) {}

  size_t scratch_bytes() const override { return 0; }

  void Run(const Args& args) const override {
    if (s_.m == 0 || s_.n == 0) return;
    if (s_.k == 0) {
      std::fill_n(args.c, s_.m * s_.n, 0.0f);
    } else {
      Multiply(args);
    }
    if (s_.bias) {
      ColumnAffine(args.c, nullptr, nullptr, nullptr, args.bias, args.c, s_.m, s_.n, s_.relu);
    } else if (s_.relu) {
      RunActivation(ActivationLoop::kRelu, args.c, nullptr, args.c, s_.m * s_.n, 0);
    }
    if (s_.relu_mask) {
      RunActivation(ActivationLoop::kReluGrad, args.c, args.mask, args.c, s_.m * s_.n, 0);
    }
  }

 private:
  // Less is not worth another copy of a factor.
  static constexpr int64_t kLeastFlops = 8'000'000, kLeastSide = 16, kMostParts = 64;

  void Multiply(const Args& args) const {
    const int64_t flops = 2 * s_.m * s_.n * s_.k;
    const auto parts = static_cast<uint64_t>(std::clamp<int64_t>(flops / kLeastFlops, 1, kMostParts));
    const Grid grid = Cut(s_.m, s_.n, static_cast<int64_t>(std::bit_floor(parts)));
    ParallelFor(grid.rows * grid.columns, 1, [&](int64_t begin, int64_t end) {
      const WithoutOpenMp alone;
      for (int64_t part = begin; part < end; ++part) {
        const int64_t row = part / grid.columns, column = part % grid.columns;
        Part(args, Edge(s_.m, grid.rows, row), Edge(s_.m, grid.rows, row + 1),
             Edge(s_.n, grid.columns, column), Edge(s_.n, grid.columns, column + 1));
      }
    });
  }

  // Where part `i` of `parts` begins: at whole tiles, but for the end.
  static int64_t Edge(int64_t size, int64_t parts, int64_t i) {
    return i == parts ? size : size * i / parts / kLeastSide * kLeastSide;
  }

  void Part(const Args& args, int64_t row, int64_t last_row, int64_t column,
            int64_t last_column) const {
    if (row == last_row || column == last_column) return;
    const dnnl_status_t status = dnnl_sgemm(
        s_.transpose_a ? 'T' : 'N', s_.transpose_b ? 'T' : 'N', last_row - row,
        last_column - column, s_.k, 1.0f, args.a + (s_.transpose_a ? row : row * s_.k),
        s_.transpose_a ? s_.m : s_.k, args.b + (s_.transpose_b ? column * s_.k : column),
        s_.transpose_b ? s_.k : s_.n, 0.0f, args.c + row * s_.n + column, s_.n);
    if (status != dnnl_success) {
      throw InternalError("[oneDNN] sgemm {}x{}x{} failed with status {}", s_.m, s_.n, s_.k,
                          static_cast<int>(status));
    }
  }

  const GemmSpec s_;
};

}  // namespace

std::unique_ptr<Gemm> MakeOneDnnGemm(const GemmSpec& spec) {
  return std::make_unique<DnnlGemm>(spec);
}

}  // namespace tributary

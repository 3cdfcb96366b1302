#include "ops/linalg/gemm.h"

#include "core/base/parallel.h"
#include "ops/linalg/gemm_tile.h"

namespace tributary {
namespace {

// A transposed B is turned, and a wide one copied, panel by panel into contiguous
// scratch: rows that lie 1 KiB or more apart fall on the same few cache sets and
// escape the prefetcher.
//
// Where B is most of what is read (a weight, and few rows of A), the halves of k are summed
// apart: a thread then reads the rows of the weight that it updates, and the features that
// belong to them, and both stay in its core's cache. Always, so that the bits do not depend
// on the number of threads.
class TiledGemm final : public Gemm {
 public:
  explicit TiledGemm(const GemmSpec& spec)
      : s_(spec), tiles_(BestGemmTiles()),
        columns_(spec.n <= tiles_.lanes ? tiles_.lanes : tiles_.max_columns),
        panels_((spec.n + columns_ - 1) / columns_),
        blocks_((spec.m + tiles_.max_rows - 1) / tiles_.max_rows),
        packed_(spec.transpose_b || (spec.n >= 256 && spec.m >= 48)),
        halves_(!packed_ && !spec.transpose_a && spec.k >= 4 * spec.m &&
                spec.k * spec.n >= kSharedWeight),
        grain_(std::max<int64_t>(
            1, kGrainFlops / std::max<int64_t>(1, 2 * spec.k * columns_ * tiles_.max_rows))) {}

  size_t scratch_bytes() const override {
    if (halves_) return s_.m * s_.n * sizeof(float);
    return packed_ ? panels_ * columns_ * s_.k * sizeof(float) : 0;
  }

  void Run(const Args& args) const override {
    float* scratch = static_cast<float*>(args.scratch);
    if (halves_) {
      RunHalves(args, scratch);
    } else if (!packed_) {
      // A tall product (the gradient of a weight) goes by rows: a thread writes the
      // range of memory that it updates next.
      const bool by_rows = s_.m > s_.n;
      ParallelFor(panels_ * blocks_, grain_, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
          const int64_t panel = by_rows ? t % panels_ : t / blocks_;
          const int64_t block = by_rows ? t / panels_ : t % blocks_;
          if (by_rows && panel == 0 && s_.transpose_a) FetchRows(args.a, block + 1);
          RunTile(args, args.b + panel * columns_, s_.n, panel, block);
        }
      });
    } else if (panels_ >= kManyPanels) {
      // Each thread packs its panels one after the other into one place.
      const int64_t grain = std::max<int64_t>(1, grain_ / std::max<int64_t>(1, blocks_));
      ParallelFor(panels_, grain, [&](int64_t begin, int64_t end) {
        float* place = scratch + begin * columns_ * s_.k;
        for (int64_t panel = begin; panel < end; ++panel) {
          Pack(args.b, panel, place);
          for (int64_t block = 0; block < blocks_; ++block) {
            RunTile(args, place, columns_, panel, block);
          }
        }
      });
    } else {
      for (int64_t p = 0; p < panels_; ++p) Pack(args.b, p, scratch + p * columns_ * s_.k);
      ParallelFor(panels_ * blocks_, grain_, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
          const int64_t panel = t / blocks_;
          RunTile(args, scratch + panel * columns_ * s_.k, columns_, panel, t % blocks_);
        }
      });
    }
  }

 private:
  static constexpr int64_t kManyPanels = 8;
  static constexpr int64_t kMergeGrain = 32 << 10;  // elements that one thread adds up at once
  static constexpr int64_t kSharedWeight = 32 << 10;  // elements: less fits a first cache

  int64_t FirstRow(int64_t block) const {
    return block * (s_.m / blocks_) + std::min(block, s_.m % blocks_);
  }

  // What a block of rows of C reads of a transposed A is a few columns of it: no stream that
  // the machine's prefetcher would see.
  void FetchRows(const float* a, int64_t block) const {
    if (block >= blocks_) return;
    FetchColumns(a, s_.m, s_.k, FirstRow(block), FirstRow(block + 1));
  }

  void Pack(const float* b, int64_t panel, float* to) const {
    const int64_t first = panel * columns_;
    const int64_t width = std::min<int64_t>(columns_, s_.n - first);
    if (s_.transpose_b) {
      tiles_.transpose(b + first * s_.k, s_.k, width, s_.k, to, columns_, columns_);
      return;
    }
    for (int64_t k = 0; k < s_.k; ++k) {
      std::copy_n(b + k * s_.n + first, width, to + k * columns_);
    }
  }

  void RunHalves(const Args& args, float* partial) const {
    const int64_t tiles = panels_ * blocks_, middle = s_.k / 2;
    ParallelFor(2 * tiles, 2 * grain_, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const bool second = t >= tiles;
        const int64_t panel = t % tiles / blocks_, block = t % tiles % blocks_;
        GemmTile tile = Place(second ? partial : args.c, panel, block);
        tile.a = args.a + FirstRow(block) * s_.k + (second ? middle : 0);
        tile.b = args.b + panel * columns_ + (second ? middle * s_.n : 0);
        tile.k = second ? s_.k - middle : middle;
        Run(tile, panel, block);
      }
    });
    const int64_t merged = 1 + tiles * kMergeGrain / std::max<int64_t>(1, s_.m * s_.n);
    ParallelFor(tiles, merged, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const int64_t panel = t / blocks_, block = t % blocks_;
        GemmTile tile = Place(args.c, panel, block);
        tile.accumulate = true;
        tile.partial = Place(partial, panel, block).c;
        SetEpilogue(args, panel, block, &tile);
        Run(tile, panel, block);
      }
    });
  }

  // b: the panel, rows ldb apart.
  void RunTile(const Args& args, const float* b, int64_t ldb, int64_t panel,
               int64_t block) const {
    GemmTile tile = Place(args.c, panel, block);
    const int64_t row = FirstRow(block);
    tile.a = args.a + (s_.transpose_a ? row : row * s_.k);
    tile.b = b;
    tile.ldb = ldb;
    tile.k = s_.k;
    SetEpilogue(args, panel, block, &tile);
    Run(tile, panel, block);
  }

  GemmTile Place(float* c, int64_t panel, int64_t block) const {
    GemmTile tile;
    tile.c = c + FirstRow(block) * s_.n + panel * columns_;
    tile.lda = s_.transpose_a ? s_.m : s_.k;
    tile.ldb = tile.ldc = tile.ldmask = s_.n;
    return tile;
  }
  void SetEpilogue(const Args& args, int64_t panel, int64_t block, GemmTile* tile) const {
    const int64_t column = panel * columns_;
    tile->bias = s_.bias ? args.bias + column : nullptr;
    tile->relu = s_.relu;
    tile->mask = s_.relu_mask ? args.mask + FirstRow(block) * s_.n + column : nullptr;
  }
  void Run(const GemmTile& tile, int64_t panel, int64_t block) const {
    tiles_.run(tile, static_cast<int>(FirstRow(block + 1) - FirstRow(block)),
               static_cast<int>(std::min<int64_t>(columns_, s_.n - panel * columns_)),
               s_.transpose_a);
  }

  const GemmSpec s_;
  const GemmTiles& tiles_;
  const int64_t columns_, panels_, blocks_;
  const bool packed_, halves_;
  const int64_t grain_;
};

}  // namespace

std::unique_ptr<Gemm> MakeTiledGemm(const GemmSpec& spec) {
  return std::make_unique<TiledGemm>(spec);
}

// Measured on AVX-512 (tests/bench/kernels_bench.cc): tiles win up to some ten million
// operations, and for narrow products (few rows, few columns) of any size.
GemmBackend ChooseGemmBackend(const GemmSpec& spec) {
  const bool narrow = spec.m < 16 || spec.n < 64 || spec.k < 48;
  const bool large = 2.0 * spec.m * spec.n * spec.k >= 16e6;
  return large && !narrow ? GemmBackend::kOneDnn : GemmBackend::kTiles;
}

std::unique_ptr<Gemm> Gemm::Make(const GemmSpec& spec, GemmBackend backend) {
  if (backend == GemmBackend::kAuto) backend = ChooseGemmBackend(spec);
  return backend == GemmBackend::kTiles ? MakeTiledGemm(spec) : MakeOneDnnGemm(spec);
}

}  // namespace tributary

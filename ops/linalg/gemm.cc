#include "ops/linalg/gemm.h"

#include "core/base/parallel.h"
#include "ops/linalg/gemm_tile.h"

namespace tributary {
namespace {

// Forking the team costs about a microsecond: worth it from this much work a thread.
constexpr int64_t kGrainFlops = 400'000;

class TiledGemm final : public Gemm {
 public:
  explicit TiledGemm(const GemmSpec& spec)
      : s_(spec), tiles_(BestGemmTiles()),
        columns_(spec.n <= tiles_.lanes ? tiles_.lanes : tiles_.max_columns),
        panels_((spec.n + columns_ - 1) / columns_),
        blocks_((spec.m + tiles_.max_rows - 1) / tiles_.max_rows) {
    const int64_t flops = 2 * s_.k * columns_ * tiles_.max_rows;
    grain_ = std::max<int64_t>(1, kGrainFlops / std::max<int64_t>(flops, 1));
  }

  size_t scratch_bytes() const override {
    return s_.transpose_b ? panels_ * columns_ * s_.k * sizeof(float) : 0;
  }

  void Run(const Args& args) const override {
    if (s_.transpose_b) PackB(args);
    ParallelFor(panels_ * blocks_, grain_,
                [&](int64_t begin, int64_t end) { RunTiles(args, begin, end); });
  }

 private:
  void PackB(const Args& args) const {
    float* packed = static_cast<float*>(args.scratch);
    const int64_t grain = std::max<int64_t>(1, 100'000 / std::max<int64_t>(1, s_.k * columns_));
    ParallelFor(panels_, grain, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const int64_t first = p * columns_;
        const int64_t rows = std::min<int64_t>(columns_, s_.n - first);
        tiles_.transpose(args.b + first * s_.k, s_.k, rows, s_.k, packed + first * s_.k,
                         columns_, columns_);
      }
    });
  }

  // Tiles of one panel of B follow each other, so that it stays in the cache.
  void RunTiles(const Args& args, int64_t begin, int64_t end) const {
    const int64_t base = s_.m / blocks_, extra = s_.m % blocks_;
    GemmTile t;
    t.k = s_.k;
    t.lda = s_.transpose_a ? s_.m : s_.k;
    t.ldb = s_.transpose_b ? columns_ : s_.n;
    t.ldc = t.ldmask = s_.n;
    t.relu = s_.relu;
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t panel = tile / blocks_, block = tile % blocks_;
      const int64_t column = panel * columns_;
      const int64_t row = block * base + std::min(block, extra);
      t.a = args.a + (s_.transpose_a ? row : row * s_.k);
      t.b = s_.transpose_b ? static_cast<const float*>(args.scratch) + column * s_.k
                           : args.b + column;
      t.c = args.c + row * s_.n + column;
      t.bias = s_.bias ? args.bias + column : nullptr;
      t.mask = s_.relu_mask ? args.mask + row * s_.n + column : nullptr;
      tiles_.run(t, static_cast<int>(base + (block < extra)),
                 static_cast<int>(std::min<int64_t>(columns_, s_.n - column)), s_.transpose_a);
    }
  }

  const GemmSpec s_;
  const GemmTiles& tiles_;
  const int64_t columns_, panels_, blocks_;
  int64_t grain_;
};

}  // namespace

std::unique_ptr<Gemm> MakeTiledGemm(const GemmSpec& spec) {
  return std::make_unique<TiledGemm>(spec);
}

GemmBackend ChooseGemmBackend(const GemmSpec& spec) { return GemmBackend::kTiles; }

std::unique_ptr<Gemm> Gemm::Make(const GemmSpec& spec, GemmBackend backend) {
  if (backend == GemmBackend::kAuto) backend = ChooseGemmBackend(spec);
  return backend == GemmBackend::kTiles ? MakeTiledGemm(spec) : MakeOneDnnGemm(spec);
}

}  // namespace tributary

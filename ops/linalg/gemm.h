#pragma once
// Single-precision matrix product with a fused epilogue:
//
//   C[m, n] = act(A[m, k] x B[k, n] + bias[n])     row-major, A and B maybe transposed
//
// A Gemm is prepared for one problem and may be run by one thread at a time (it
// spreads over the compute team by itself). It picks our own register tiles or
// oneDNN by a fixed rule measured in tests/bench/kernels_bench.cc, so that the same
// problem always gives the same bits.

#include <cstdint>
#include <memory>

namespace tributary {

struct GemmSpec {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  bool bias = false;       // + bias[j]
  bool relu = false;       // max(., 0)
  bool relu_mask = false;  // 0 where mask[i, j] <= 0 (the gradient of Relu)
};

enum class GemmBackend { kAuto, kTiles, kOneDnn };

class Gemm {
 public:
  struct Args {
    const float* a;
    const float* b;
    const float* bias = nullptr;
    const float* mask = nullptr;
    float* c;
    void* scratch = nullptr;
  };
  virtual ~Gemm() = default;
  // Aligned to 64; independent of the number of threads.
  virtual size_t scratch_bytes() const = 0;
  // Sizes may be zero (k = 0 gives the epilogue of zeros).
  virtual void Run(const Args& args) const = 0;

  static std::unique_ptr<Gemm> Make(const GemmSpec& spec,
                                    GemmBackend backend = GemmBackend::kAuto);
};

// The choice of kAuto.
GemmBackend ChooseGemmBackend(const GemmSpec& spec);

std::unique_ptr<Gemm> MakeTiledGemm(const GemmSpec& spec);
std::unique_ptr<Gemm> MakeOneDnnGemm(const GemmSpec& spec);

}  // namespace tributary

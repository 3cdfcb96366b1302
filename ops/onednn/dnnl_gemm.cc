// Large matrix products go to oneDNN's sgemm. (Its matmul primitive takes bias and
// relu along, but is no faster here and fills a hash map on every execution.)

#include <oneapi/dnnl/dnnl.h>

#include "ops/linalg/gemm.h"
#include "ops/nn/activation_loops.h"
#include "ops/nn/column_affine.h"

namespace tributary {
namespace {

class DnnlGemm final : public Gemm {
 public:
  explicit DnnlGemm(const GemmSpec& spec) : s_(spec) {}

  size_t scratch_bytes() const override { return 0; }

  void Run(const Args& args) const override {
    if (s_.m == 0 || s_.n == 0) return;
    if (s_.k == 0) {
      std::fill_n(args.c, s_.m * s_.n, 0.0f);
    } else {
      const dnnl_status_t status = dnnl_sgemm(
          s_.transpose_a ? 'T' : 'N', s_.transpose_b ? 'T' : 'N', s_.m, s_.n, s_.k, 1.0f,
          args.a, s_.transpose_a ? s_.m : s_.k, args.b, s_.transpose_b ? s_.k : s_.n, 0.0f,
          args.c, s_.n);
      if (status != dnnl_success) {
        throw InternalError("[oneDNN] sgemm {}x{}x{} failed with status {}", s_.m, s_.n, s_.k,
                            static_cast<int>(status));
      }
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
  const GemmSpec s_;
};

}  // namespace

std::unique_ptr<Gemm> MakeOneDnnGemm(const GemmSpec& spec) {
  return std::make_unique<DnnlGemm>(spec);
}

}  // namespace tributary

// Matrix products of oneDNN: large ones, where its blocking wins.

#include <oneapi/dnnl/dnnl.hpp>

#include "ops/linalg/gemm.h"
#include "ops/nn/activation_loops.h"

namespace tributary {
namespace {

dnnl::engine& Engine() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

class DnnlMatmul final : public Gemm {
 public:
  explicit DnnlMatmul(const GemmSpec& spec) : spec_(spec), stream_(Engine()) {
    using dnnl::memory;
    const auto desc = [](int64_t rows, int64_t columns, bool transposed) {
      return memory::desc({rows, columns}, memory::data_type::f32,
                          transposed ? memory::dims{1, rows} : memory::dims{columns, 1});
    };
    const memory::desc a = desc(spec.m, spec.k, spec.transpose_a);
    const memory::desc b = desc(spec.k, spec.n, spec.transpose_b);
    const memory::desc c = desc(spec.m, spec.n, false);
    const memory::desc bias = desc(1, spec.n, false);
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (spec.relu) {
      dnnl::post_ops post;
      post.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
      attr.set_post_ops(post);
    }
    const dnnl::matmul::primitive_desc pd(
        spec.bias ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c), attr,
        Engine());
    primitive_ = dnnl::matmul(pd);
    scratch_bytes_ = pd.scratchpad_desc().get_size();
    Add(DNNL_ARG_SRC, a);
    Add(DNNL_ARG_WEIGHTS, b);
    Add(DNNL_ARG_DST, c);
    Add(DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc());
    if (spec.bias) Add(DNNL_ARG_BIAS, bias);
    for (size_t i = 0; i < memories_.size(); ++i) args_[i].memory = memories_[i].get();
  }

  size_t scratch_bytes() const override { return scratch_bytes_; }

  void Run(const Args& args) const override {
    const void* data[] = {args.a, args.b, args.c, args.scratch, args.bias};
    for (size_t i = 0; i < memories_.size(); ++i) {
      dnnl_memory_set_data_handle(args_[i].memory, const_cast<void*>(data[i]));
    }
    dnnl::error::wrap_c_api(
        dnnl_primitive_execute(primitive_.get(), stream_.get(),
                               static_cast<int>(memories_.size()), args_.data()),
        "oneDNN matmul failed");
    if (spec_.relu_mask) {
      RunActivation(ActivationLoop::kReluGrad, args.c, args.mask, args.c, spec_.m * spec_.n, 0);
    }
  }

 private:
  // In the order of Run's data.
  void Add(int arg, const dnnl::memory::desc& desc) {
    args_[memories_.size()].arg = arg;
    memories_.emplace_back(desc, Engine(), DNNL_MEMORY_NONE);
  }

  const GemmSpec spec_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  size_t scratch_bytes_ = 0;
  std::vector<dnnl::memory> memories_;
  std::array<dnnl_exec_arg_t, 5> args_;
};

}  // namespace

std::unique_ptr<Gemm> MakeOneDnnGemm(const GemmSpec& spec) {
  try {
    return std::make_unique<DnnlMatmul>(spec);
  } catch (const dnnl::error& e) {
    throw InternalError("[oneDNN] matmul {}x{}x{}: {}", spec.m, spec.n, spec.k, e.message);
  }
}

}  // namespace tributary

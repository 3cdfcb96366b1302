// _FusedMatMul: what fusion makes of MatMul and the ops after it (the op of
// TensorFlow's grappler, remapper.cc). fused_ops is one of
//   [BiasAdd], [BiasAdd, <activation>]  args: bias
//   [ReluGrad]                          args: features; 0 where they are not positive

#include "core/graph/kernel.h"
#include "ops/array/shape_rules.h"
#include "ops/linalg/gemm.h"
#include "ops/nn/activation_loops.h"
#include "ops/nn/fused_activation.h"
#include "ops/nn/sample_tensors.h"

namespace tributary {
namespace {

void FusedMatMulShape(InferenceContext& c) {
  c.RequireRank(0, 2, "a");
  c.RequireRank(1, 2, "b");
  const bool ta = c.attr<bool>("transpose_a"), tb = c.attr<bool>("transpose_b");
  const auto dim = [&](int input, int axis) {
    return c.shape(input).unknown_rank() ? Shape::kUnknownDim : c.shape(input)[axis];
  };
  ops::MergeDims(c, dim(0, ta ? 0 : 1), dim(1, tb ? 1 : 0), "inner dimension");
  Shape out{dim(0, ta ? 1 : 0), dim(1, tb ? 0 : 1)};
  const FusedActivation fused = ParseFusedOps(c.op(), c.attrs());
  if (fused.mask) {
    out = ops::MergeShapes(c, out, c.shape(2));
  } else {
    c.RequireRank(2, 1, "bias");
    ops::MergeShapes(c, Shape{out[1]}, c.shape(2));
  }
  c.set_output(0, out);
}

std::unique_ptr<Kernel> MakeFusedMatMul(PrepareContext& c) {
  const FusedActivation fused = ParseFusedOps(c.op(), c.attrs());
  GemmSpec spec;
  spec.transpose_a = c.attr<bool>("transpose_a");
  spec.transpose_b = c.attr<bool>("transpose_b");
  spec.m = c.out_shape(0)[0];
  spec.n = c.out_shape(0)[1];
  spec.k = c.in_shape(0)[spec.transpose_a ? 0 : 1];
  spec.bias = fused.bias;
  spec.relu_mask = fused.mask;
  spec.relu = fused.activation == ActivationLoop::kRelu;
  std::shared_ptr<Gemm> gemm = Gemm::Make(spec);
  c.set_scratch_bytes(gemm->scratch_bytes());
  const auto after = spec.relu ? std::nullopt : fused.activation;
  return MakeKernel([gemm, fused, after, count = spec.m * spec.n](const LaunchArgs& args) {
    const float* extra = static_cast<const float*>(args.in[2]);
    float* out = static_cast<float*>(args.out[0]);
    gemm->Run({.a = static_cast<const float*>(args.in[0]),
               .b = static_cast<const float*>(args.in[1]),
               .bias = fused.bias ? extra : nullptr,
               .mask = fused.mask ? extra : nullptr,
               .c = out,
               .scratch = args.scratch});
    if (after) RunActivation(*after, out, nullptr, out, count, fused.alpha);
  });
}

REGISTER_OP("_FusedMatMul")
    .Input("a: T").Input("b: T").Input("args: num_args * T").Output("product: T")
    .Attr("transpose_a: bool = false").Attr("transpose_b: bool = false")
    .Attr("T: {float32}").Attr("num_args: int >= 1")
    .Attr("fused_ops: list(string)").Attr("leakyrelu_alpha: float = 0.2")
    .Shape(FusedMatMulShape)
    .NotDifferentiable()
    .Samples([] {
      const Tensor a = Wave({3, 4}, 0.7f), b = Wave({4, 5}, 0.3f);
      using Names = std::vector<std::string>;
      return std::vector<OpSample>{
          {{a, b, Wave({5}, 0.9f)}, {{"fused_ops", Names{"BiasAdd"}}}},
          {{a, b, Wave({5}, 0.9f)}, {{"fused_ops", Names{"BiasAdd", "Relu"}}}},
          {{a, b, Wave({3, 5}, 0.9f)}, {{"fused_ops", Names{"ReluGrad"}}}}};
    });
REGISTER_KERNEL("_FusedMatMul", DeviceType::kCpu, {DType::kFloat32}, MakeFusedMatMul);

}  // namespace
}  // namespace tributary

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/linalg/gemm.h"
#include "ops/linalg/reference_gemm.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

Tensor MatMul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  return Execute1("MatMul", {a, b},
                  {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}});
}

}  // namespace ops

namespace {

void MatMulShape(InferenceContext& c) {
  c.RequireRank(0, 2, "a");
  c.RequireRank(1, 2, "b");
  const bool ta = c.attr<bool>("transpose_a"), tb = c.attr<bool>("transpose_b");
  const auto dim = [&](int input, int axis) {
    return c.shape(input).unknown_rank() ? Shape::kUnknownDim : c.shape(input)[axis];
  };
  ops::MergeDims(c, dim(0, ta ? 0 : 1), dim(1, tb ? 1 : 0), "inner dimension");
  c.set_output(0, Shape{dim(0, ta ? 1 : 0), dim(1, tb ? 0 : 1)});
}

Grads MatMulGradient(const GradContext& g) {
  const Tensor &a = g.input(0), &b = g.input(1), &dy = g.grad();
  const bool ta = g.attr<bool>("transpose_a"), tb = g.attr<bool>("transpose_b");
  using ops::MatMul;
  const Tensor da = ta ? MatMul(b, dy, tb, true) : MatMul(dy, b, false, !tb);
  const Tensor db = tb ? MatMul(dy, a, true, ta) : MatMul(a, dy, !ta, false);
  return {da, db};
}

GemmSpec SpecOf(const PrepareContext& c) {
  GemmSpec spec;
  spec.transpose_a = c.attr<bool>("transpose_a");
  spec.transpose_b = c.attr<bool>("transpose_b");
  spec.m = c.out_shape(0)[0];
  spec.n = c.out_shape(0)[1];
  spec.k = c.in_shape(0)[spec.transpose_a ? 0 : 1];
  return spec;
}

std::unique_ptr<Kernel> MakeMatMul(PrepareContext& c) {
  std::shared_ptr<Gemm> gemm = Gemm::Make(SpecOf(c));
  c.set_scratch_bytes(gemm->scratch_bytes());
  return MakeKernel([gemm](const LaunchArgs& args) {
    gemm->Run({.a = static_cast<const float*>(args.in[0]),
               .b = static_cast<const float*>(args.in[1]),
               .c = static_cast<float*>(args.out[0]),
               .scratch = args.scratch});
  });
}

std::unique_ptr<Kernel> MakeMatMulDouble(PrepareContext& c) {
  return MakeKernel([s = SpecOf(c)](const LaunchArgs& args) {
    ReferenceGemm(s.m, s.n, s.k, static_cast<const double*>(args.in[0]), s.transpose_a,
                  static_cast<const double*>(args.in[1]), s.transpose_b,
                  static_cast<double*>(args.out[0]));
  });
}

REGISTER_OP("MatMul")
    .Input("a: T").Input("b: T").Output("product: T")
    .Attr("transpose_a: bool = false").Attr("transpose_b: bool = false")
    .Attr("T: {float32, float64}")
    .Shape(MatMulShape)
    .Gradient(MatMulGradient)
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({3, 4}, 0.7f), Wave({4, 5}, 0.3f)}, {}},
          {{Wave({4, 3}, 0.7f), Wave({4, 5}, 0.3f)}, {{"transpose_a", true}}},
          {{Wave({3, 4}, 0.7f), Wave({5, 4}, 0.3f)}, {{"transpose_b", true}}},
          {{Wave({4, 3}, 0.7f), Wave({5, 4}, 0.3f)},
           {{"transpose_a", true}, {"transpose_b", true}}},
          {{Wave({17, 9}, 0.7f), Wave({9, 35}, 0.3f)}, {}},
          {{Wave({0, 4}, 0.7f), Wave({4, 5}, 0.3f)}, {}}};
    });
REGISTER_KERNEL("MatMul", DeviceType::kCpu, {DType::kFloat32}, MakeMatMul);
REGISTER_KERNEL("MatMul", DeviceType::kCpu, {DType::kFloat64}, MakeMatMulDouble);

}  // namespace
}  // namespace tributary

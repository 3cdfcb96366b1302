// _DotInteraction: dot products of every two features of an example (Naumov et al.
// 2019, DLRM).

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/feature_ops.h"
#include "ops/math_ops.h"
#include "ops/nn/dot_interaction_loops.h"
#include "ops/nn/sample_tensors.h"

namespace tributary {
namespace {

int64_t Pairs(int64_t features) { return features * (features - 1) / 2; }

void DotShape(InferenceContext& c) {
  c.RequireRank(0, 3, "x");
  const Shape& x = c.shape(0);
  if (x.unknown_rank()) return c.set_output(0, Shape{Shape::kUnknownDim, Shape::kUnknownDim});
  c.set_output(0, Shape{x[0], x[1] < 0 ? Shape::kUnknownDim : Pairs(x[1])});
}

void DotGradShape(InferenceContext& c) {
  c.RequireRank(0, 2, "the gradient");
  c.RequireRank(1, 3, "x");
  const Shape& grad = c.shape(0);
  const Shape& x = c.shape(1);
  const bool known = !grad.unknown_rank() && !x.unknown_rank();
  if (known && ((grad[0] >= 0 && x[0] >= 0 && grad[0] != x[0]) ||
                (grad[1] >= 0 && x[1] >= 0 && grad[1] != Pairs(x[1])))) {
    throw InvalidArgumentError("[{}] a gradient of shape {} does not fit x of shape {}", c.op(),
                               grad.ToString(), x.ToString());
  }
  c.set_output(0, x);
}

DotShapes ShapesOf(const Shape& x) { return {x[0], x[1], x[2]}; }

std::unique_ptr<Kernel> MakeDot(PrepareContext& c) {
  return MakeKernel([shapes = ShapesOf(c.in_shape(0))](const LaunchArgs& args) {
    DotInteraction(shapes, static_cast<const float*>(args.in[0]),
                   static_cast<float*>(args.out[0]));
  });
}

std::unique_ptr<Kernel> MakeDotGrad(PrepareContext& c) {
  return MakeKernel([shapes = ShapesOf(c.in_shape(1))](const LaunchArgs& args) {
    DotInteractionGrad(shapes, static_cast<const float*>(args.in[0]),
                       static_cast<const float*>(args.in[1]), static_cast<float*>(args.out[0]));
  });
}

REGISTER_OP("_DotInteraction")
    .Input("x: T")
    .Output("products: T")
    .Attr("T: {float32}")
    .Shape(DotShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {Execute1("_DotInteractionGrad", {g.grad(), g.input(0)})};
    })
    .Samples([] {
      return std::vector<OpSample>{{{Wave({2, 3, 5}, 0.7f)}}, {{Wave({1, 4, 19}, 0.3f)}},
                                   {{Wave({2, 1, 2}, 0.3f)}}};
    });
REGISTER_KERNEL("_DotInteraction", DeviceType::kCpu, {DType::kFloat32}, MakeDot);

REGISTER_OP("_DotInteractionGrad")
    .Input("grad: T")
    .Input("x: T")
    .Output("output: T")
    .Attr("T: {float32}")
    .Shape(DotGradShape)
    .Gradient([](const GradContext& g) -> Grads {
      // Linear in both. For the products: h_i x_j + x_i h_j, by polarisation.
      const Tensor& h = g.grad();
      const Tensor& x = g.input(1);
      const Tensor mixed = ops::DotInteraction(ops::Add(x, h));
      return {ops::Sub(ops::Sub(mixed, ops::DotInteraction(x)), ops::DotInteraction(h)),
              Execute1("_DotInteractionGrad", {g.input(0), h})};
    })
    .Samples([] {
      return std::vector<OpSample>{{{Wave({2, 3}, 0.9f), Wave({2, 3, 5}, 0.7f)}}};
    });
REGISTER_KERNEL("_DotInteractionGrad", DeviceType::kCpu, {DType::kFloat32}, MakeDotGrad);

}  // namespace

namespace ops {

Tensor DotInteraction(const Tensor& x) { return Execute1("_DotInteraction", {x}); }

}  // namespace ops
}  // namespace tributary

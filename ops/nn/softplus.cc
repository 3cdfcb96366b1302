#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/nn/activation_loops.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

Tensor Softplus(const Tensor& features) { return Execute1("Softplus", {features}); }
Tensor SoftplusGrad(const Tensor& gradients, const Tensor& features) {
  return Execute1("SoftplusGrad", {gradients, features});
}

}  // namespace ops

namespace {

REGISTER_OP("Softplus")
    .Input("features: T").Output("activations: T")
    .Attr("T: {float32, float64}")
    .Shape(ops::UnchangedShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::SoftplusGrad(g.grad(), g.input(0))};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Scattered({3, 7})}, {}},
          {{Scattered({2, 3, 17})}, {}},
          {{Scattered({0, 4})}, {}}};
    });
REGISTER_KERNEL("Softplus", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                ActivationKernel(ActivationLoop::kSoftplus));

REGISTER_OP("SoftplusGrad")
    .Input("gradients: T").Input("features: T").Output("backprops: T")
    .Attr("T: {float32, float64}")
    .Shape(SameShapes)
    .Gradient([](const GradContext& g) -> Grads {
      // The derivative of sigmoid: s (1 - s).
      const Tensor s = ops::Sigmoid(g.input(1));
      const Tensor slope = ops::Mul(s, ops::Sub(ops::OnesLike(s), s));
      return {ops::SoftplusGrad(g.grad(), g.input(1)),
              ops::Mul(ops::Mul(g.grad(), g.input(0)), slope)};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({3, 7}, 0.7f), Scattered({3, 7})}, {}},
          {{Wave({53}, 0.7f), Scattered({53})}, {}}};
    });
REGISTER_KERNEL("SoftplusGrad", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                ActivationKernel(ActivationLoop::kSoftplusGrad));

}  // namespace
}  // namespace tributary

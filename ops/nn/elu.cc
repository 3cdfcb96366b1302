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

Tensor Elu(const Tensor& features) { return Execute1("Elu", {features}); }
Tensor EluGrad(const Tensor& gradients, const Tensor& outputs) {
  return Execute1("EluGrad", {gradients, outputs});
}

}  // namespace ops

namespace {

REGISTER_OP("Elu")
    .Input("features: T").Output("activations: T")
    .Attr("T: {float32, float64}")
    .Shape(ops::UnchangedShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::EluGrad(g.grad(), g.output())};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Scattered({3, 7})}, {}},
          {{Scattered({2, 3, 17})}, {}},
          {{Scattered({0, 4})}, {}}};
    });
REGISTER_KERNEL("Elu", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                ActivationKernel(ActivationLoop::kElu));

REGISTER_OP("EluGrad")
    .Input("gradients: T").Input("outputs: T").Output("backprops: T")
    .Attr("T: {float32, float64}")
    .Shape(SameShapes)
    .Gradient([](const GradContext& g) -> Grads {
      const Tensor &gradients = g.input(0), &outputs = g.input(1);
      const Tensor negative = ops::Less(outputs, ops::ZerosLike(outputs));
      return {ops::EluGrad(g.grad(), outputs),
              ops::Select(negative, ops::Mul(g.grad(), gradients), ops::ZerosLike(outputs))};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({3, 7}, 0.7f), Scattered({3, 7})}, {}},
          {{Wave({53}, 0.7f), Scattered({53})}, {}}};
    });
REGISTER_KERNEL("EluGrad", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                ActivationKernel(ActivationLoop::kEluGrad));

}  // namespace
}  // namespace tributary

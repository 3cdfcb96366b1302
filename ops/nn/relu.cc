#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/nn/activation_loops.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

Tensor Relu(const Tensor& features) { return Execute1("Relu", {features}); }
Tensor ReluGrad(const Tensor& gradients, const Tensor& features) {
  return Execute1("ReluGrad", {gradients, features});
}

}  // namespace ops

namespace {

REGISTER_OP("Relu")
    .Input("features: T").Output("activations: T")
    .Attr("T: {float32, float64}")
    .Shape(ops::UnchangedShape)
    .Gradient([](const GradContext& g) -> Grads {
      // The output has the sign of the input, which then need not be kept.
      return {ops::ReluGrad(g.grad(), g.output())};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Scattered({3, 7})}, {}},
          {{Scattered({2, 3, 17})}, {}},
          {{Scattered({0, 4})}, {}}};
    });
REGISTER_KERNEL("Relu", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                ActivationKernel(ActivationLoop::kRelu));

REGISTER_OP("ReluGrad")
    .Input("gradients: T").Input("features: T").Output("backprops: T")
    .Attr("T: {float32, float64}")
    .Shape(SameShapes)
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::ReluGrad(g.grad(), g.input(1)), ops::ZerosLike(g.input(1))};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({3, 7}, 0.7f), Scattered({3, 7})}, {}},
          {{Wave({53}, 0.7f), Scattered({53})}, {}}};
    });
REGISTER_KERNEL("ReluGrad", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                ActivationKernel(ActivationLoop::kReluGrad));

}  // namespace
}  // namespace tributary

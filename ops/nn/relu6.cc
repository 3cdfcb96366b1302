#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/nn/activation_loops.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

Tensor Relu6(const Tensor& features) { return Execute1("Relu6", {features}); }
Tensor Relu6Grad(const Tensor& gradients, const Tensor& features) {
  return Execute1("Relu6Grad", {gradients, features});
}

}  // namespace ops

namespace {

REGISTER_OP("Relu6")
    .Input("features: T").Output("activations: T")
    .Attr("T: {float32, float64}")
    .Shape(ops::UnchangedShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::Relu6Grad(g.grad(), g.output())};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({3, 7}, 0.7f, 9.0f)}, {}},
          {{Scattered({0, 4})}, {}}};
    });
REGISTER_KERNEL("Relu6", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                ActivationKernel(ActivationLoop::kRelu6));

REGISTER_OP("Relu6Grad")
    .Input("gradients: T").Input("features: T").Output("backprops: T")
    .Attr("T: {float32, float64}")
    .Shape(SameShapes)
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::Relu6Grad(g.grad(), g.input(1)), ops::ZerosLike(g.input(1))};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({3, 7}, 0.7f), Wave({3, 7}, 0.4f, 9.0f)}, {}}};
    });
REGISTER_KERNEL("Relu6Grad", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                ActivationKernel(ActivationLoop::kRelu6Grad));

}  // namespace
}  // namespace tributary

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/nn/activation_loops.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

Tensor LeakyRelu(const Tensor& features, float alpha) {
  return Execute1("LeakyRelu", {features}, {{"alpha", alpha}});
}
Tensor LeakyReluGrad(const Tensor& gradients, const Tensor& features, float alpha) {
  return Execute1("LeakyReluGrad", {gradients, features}, {{"alpha", alpha}});
}

}  // namespace ops

namespace {

REGISTER_OP("LeakyRelu")
    .Input("features: T").Output("activations: T")
    .Attr("T: {float32, float64}").Attr("alpha: float = 0.2")
    .Shape(ops::UnchangedShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::LeakyReluGrad(g.grad(), g.input(0), g.attr<float>("alpha"))};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Scattered({3, 7})}, {}},
          {{Scattered({2, 3, 17})}, {}},
          {{Scattered({0, 4})}, {}},
          {{Scattered({5})}, {{"alpha", 0.01f}}}};
    });
REGISTER_KERNEL("LeakyRelu", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                ActivationKernel(ActivationLoop::kLeakyRelu));

REGISTER_OP("LeakyReluGrad")
    .Input("gradients: T").Input("features: T").Output("backprops: T")
    .Attr("T: {float32, float64}").Attr("alpha: float = 0.2")
    .Shape(SameShapes)
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::LeakyReluGrad(g.grad(), g.input(1), g.attr<float>("alpha")),
              ops::ZerosLike(g.input(1))};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({3, 7}, 0.7f), Scattered({3, 7})}, {}},
          {{Wave({53}, 0.7f), Scattered({53})}, {}}};
    });
REGISTER_KERNEL("LeakyReluGrad", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                ActivationKernel(ActivationLoop::kLeakyReluGrad));

}  // namespace
}  // namespace tributary

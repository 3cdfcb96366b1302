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

Tensor Softsign(const Tensor& features) { return Execute1("Softsign", {features}); }
Tensor SoftsignGrad(const Tensor& gradients, const Tensor& features) {
  return Execute1("SoftsignGrad", {gradients, features});
}

}  // namespace ops

namespace {

REGISTER_OP("Softsign")
    .Input("features: T").Output("activations: T")
    .Attr("T: {float32, float64}")
    .Shape(ops::UnchangedShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::SoftsignGrad(g.grad(), g.input(0))};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Scattered({3, 7})}, {}},
          {{Scattered({2, 3, 17})}, {}},
          {{Scattered({0, 4})}, {}}};
    });
REGISTER_KERNEL("Softsign", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                ActivationKernel(ActivationLoop::kSoftsign));

REGISTER_OP("SoftsignGrad")
    .Input("gradients: T").Input("features: T").Output("backprops: T")
    .Attr("T: {float32, float64}")
    .Shape(SameShapes)
    .Gradient([](const GradContext& g) -> Grads {
      // d/dx of 1 / (1 + |x|)^2 is -2 sign(x) / (1 + |x|)^3.
      const Tensor& x = g.input(1);
      const Tensor r = ops::Add(ops::OnesLike(x), ops::Abs(x));
      const Tensor cube = ops::Mul(r, ops::Mul(r, r));
      const Tensor slope = ops::Div(ops::Mul(ops::ScalarLike(x, -2.0), ops::Sign(x)), cube);
      return {ops::SoftsignGrad(g.grad(), x), ops::Mul(ops::Mul(g.grad(), g.input(0)), slope)};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({3, 7}, 0.7f), Scattered({3, 7})}, {}},
          {{Wave({53}, 0.7f), Scattered({53})}, {}}};
    });
REGISTER_KERNEL("SoftsignGrad", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                ActivationKernel(ActivationLoop::kSoftsignGrad));

}  // namespace
}  // namespace tributary

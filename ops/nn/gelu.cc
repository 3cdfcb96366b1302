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

Tensor Gelu(const Tensor& features, bool approximate) {
  return Execute1("_Gelu", {features}, {{"approximate", approximate}});
}

Tensor GeluGrad(const Tensor& gradients, const Tensor& features, bool approximate) {
  return Execute1("_GeluGrad", {gradients, features}, {{"approximate", approximate}});
}

Tensor Silu(const Tensor& features) { return Mul(features, Sigmoid(features)); }

}  // namespace ops

namespace {

using namespace ops;  // arithmetic below reads as formulas

// The second derivative of gelu at x.
Tensor Curvature(const Tensor& x, bool approximate) {
  const auto number = [&](double value) { return ScalarLike(x, value); };
  const Tensor x2 = Square(x);
  if (!approximate) {
    // phi(x) (2 - x^2)
    const Tensor density = Mul(number(1 / std::sqrt(2 * M_PI)), Exp(Mul(number(-0.5), x2)));
    return Mul(density, Sub(number(2), x2));
  }
  // With u = c (x + a x^3), t = tanh u: (1 - t^2) (u' + x (u'' / 2 - t u'^2))
  const double c = std::sqrt(2 / M_PI), a = 0.044715;
  const Tensor u = Mul(number(c), Mul(x, Add(number(1), Mul(number(a), x2))));
  const Tensor t = Tanh(u);
  const Tensor u1 = Mul(number(c), Add(number(1), Mul(number(3 * a), x2)));
  const Tensor half_u2 = Mul(number(3 * a * c), x);
  const Tensor inner = Add(u1, Mul(x, Sub(half_u2, Mul(t, Square(u1)))));
  return Mul(Sub(number(1), Square(t)), inner);
}

KernelFactory GeluKernel(ActivationLoop exact, ActivationLoop approximate) {
  return [=](PrepareContext& c) {
    return ActivationKernel(c.attr<bool>("approximate") ? approximate : exact)(c);
  };
}

REGISTER_OP("_Gelu")
    .Input("features: T").Output("activations: T")
    .Attr("T: {float32, float64}").Attr("approximate: bool = false")
    .Shape(UnchangedShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {GeluGrad(g.grad(), g.input(0), g.attr<bool>("approximate"))};
    })
    .Samples([] {
      return std::vector<OpSample>{{{Wave({3, 7}, 0.7f, 3.0f)}, {}},
                                   {{Wave({3, 7}, 0.7f, 3.0f)}, {{"approximate", true}}}};
    });
REGISTER_KERNEL("_Gelu", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                GeluKernel(ActivationLoop::kGelu, ActivationLoop::kGeluTanh));

REGISTER_OP("_GeluGrad")
    .Input("gradients: T").Input("features: T").Output("backprops: T")
    .Attr("T: {float32, float64}").Attr("approximate: bool = false")
    .Shape(SameShapes)
    .Gradient([](const GradContext& g) -> Grads {
      const bool approximate = g.attr<bool>("approximate");
      const Tensor& x = g.input(1);
      return {GeluGrad(g.grad(), x, approximate),
              Mul(Mul(g.grad(), g.input(0)), Curvature(x, approximate))};
    })
    .Samples([] {
      const Tensor dy = Wave({3, 7}, 0.3f), x = Wave({3, 7}, 0.7f, 2.0f);
      return std::vector<OpSample>{{{dy, x}, {}}, {{dy, x}, {{"approximate", true}}}};
    });
REGISTER_KERNEL("_GeluGrad", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                GeluKernel(ActivationLoop::kGeluGrad, ActivationLoop::kGeluTanhGrad));

}  // namespace
}  // namespace tributary

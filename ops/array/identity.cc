// Identity, StopGradient: the input under another name.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"

namespace tributary {
namespace {

std::vector<OpSample> IdentitySamples() {
  return {{{Tensor::FromVector<double>({1, -2, 3, 4}, {2, 2})}},
          {{Tensor(int32_t{3})}},
          {{Tensor::Zeros(DType::kFloat32, {0, 3})}}};
}

std::unique_ptr<Kernel> Forward(PrepareContext& c) {
  c.forward(0, 0);
  return nullptr;
}

}  // namespace

REGISTER_OP("Identity")
    .Input("input: T")
    .Output("output: T")
    .Attr("T: type")
    .Shape(ops::UnchangedShape)
    .Gradient([](const GradContext& g) -> Grads { return {g.grad()}; })
    .Samples(IdentitySamples);
REGISTER_KERNEL("Identity", DeviceType::kCpu, {}, Forward);

REGISTER_OP("StopGradient")
    .Input("input: T")
    .Output("output: T")
    .Attr("T: type")
    .Shape(ops::UnchangedShape)
    .NotDifferentiable()
    .Samples(IdentitySamples);
REGISTER_KERNEL("StopGradient", DeviceType::kCpu, {}, Forward);

namespace ops {

Tensor Identity(const Tensor& input, const std::string& name) {
  return Execute1("Identity", {input}, {}, name);
}

Tensor StopGradient(const Tensor& input) { return Execute1("StopGradient", {input}); }

}  // namespace ops
}  // namespace tributary

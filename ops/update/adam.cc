#include "core/runtime/execute.h"
#include "ops/update/update.h"
#include "ops/update_ops.h"

namespace tributary {
namespace ops {

void ResourceApplyAdam(const Tensor& var, const Tensor& m, const Tensor& v,
                       const Tensor& beta1_power, const Tensor& beta2_power, const Tensor& lr,
                       const Tensor& beta1, const Tensor& beta2, const Tensor& epsilon,
                       const Tensor& grad, bool use_nesterov) {
  Execute("ResourceApplyAdam",
          {var, m, v, beta1_power, beta2_power, lr, beta1, beta2, epsilon, grad},
          {{"use_nesterov", use_nesterov}});
}

void ResourceApplyAdamW(const Tensor& var, const Tensor& m, const Tensor& v,
                        const Tensor& beta1_power, const Tensor& beta2_power, const Tensor& lr,
                        const Tensor& beta1, const Tensor& beta2, const Tensor& epsilon,
                        const Tensor& weight_decay, const Tensor& grad) {
  Execute("_ResourceApplyAdamW", {var, m, v, beta1_power, beta2_power, lr, beta1, beta2,
                                  epsilon, weight_decay, grad});
}

}  // namespace ops

namespace {

// Inputs 3 to 8: beta1_power, beta2_power, lr, beta1, beta2, epsilon.
UpdateNumbers AdamNumbers(const LaunchArgs& args) {
  const float correction = std::sqrt(1.0f - Number(args, 4)) / (1.0f - Number(args, 3));
  return {.a = Number(args, 5) * correction, .b = 1.0f - Number(args, 6),
          .c = 1.0f - Number(args, 7), .d = Number(args, 8), .e = 1.0f};
}

UpdateArrays AdamArrays(const LaunchArgs& args, int grad) {
  return {.var = Slot(args, 0), .slot0 = Slot(args, 1), .slot1 = Slot(args, 2),
          .grad = Slot(args, grad)};
}

std::unique_ptr<Kernel> MakeAdam(PrepareContext& c) {
  const bool nesterov = c.attr<bool>("use_nesterov");
  return MakeKernel([nesterov, count = c.in_shape(0).NumElements()](const LaunchArgs& args) {
    UpdateNumbers numbers = AdamNumbers(args);
    if (nesterov) numbers.e = Number(args, 6);
    RunUpdate(nesterov ? UpdateRule::kAdamNesterov : UpdateRule::kAdam, AdamArrays(args, 9),
              numbers, count);
  });
}

std::unique_ptr<Kernel> MakeAdamW(PrepareContext& c) {
  return MakeKernel([count = c.in_shape(0).NumElements()](const LaunchArgs& args) {
    UpdateNumbers numbers = AdamNumbers(args);
    numbers.e = 1.0f - Number(args, 5) * Number(args, 9);
    RunUpdate(UpdateRule::kAdam, AdamArrays(args, 10), numbers, count);
  });
}

REGISTER_OP("ResourceApplyAdam")
    .Input("var: resource")
    .Input("m: resource")
    .Input("v: resource")
    .Input("beta1_power: T")
    .Input("beta2_power: T")
    .Input("lr: T")
    .Input("beta1: T")
    .Input("beta2: T")
    .Input("epsilon: T")
    .Input("grad: T")
    .Attr("T: {float32}")
    .Attr("use_nesterov: bool = false")
    .Attr("use_locking: bool = false")
    .Shape([](InferenceContext& c) { UpdateShape(c, 3, 9); })
    .Stateful()
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{
          {{SampleVariable(0), SampleVariable(0), SampleVariable(1), 0.9f, 0.99f, 0.1f, 0.9f, 0.99f, 1e-7f, SampleGradient()}, {{"use_nesterov", false}}},
          {{SampleVariable(0), SampleVariable(0), SampleVariable(1), 0.9f, 0.99f, 0.1f, 0.9f, 0.99f, 1e-7f, SampleGradient()}, {{"use_nesterov", true}}}};
    });
REGISTER_KERNEL("ResourceApplyAdam", DeviceType::kCpu, {DType::kFloat32}, MakeAdam);

REGISTER_OP("_ResourceApplyAdamW")
    .Input("var: resource")
    .Input("m: resource")
    .Input("v: resource")
    .Input("beta1_power: T")
    .Input("beta2_power: T")
    .Input("lr: T")
    .Input("beta1: T")
    .Input("beta2: T")
    .Input("epsilon: T")
    .Input("weight_decay: T")
    .Input("grad: T")
    .Attr("T: {float32}")
    .Attr("use_locking: bool = false")
    .Shape([](InferenceContext& c) { UpdateShape(c, 3, 10); })
    .Stateful()
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{
          {{SampleVariable(0), SampleVariable(0), SampleVariable(1), 0.9f, 0.99f, 0.1f, 0.9f, 0.99f, 1e-7f, 0.01f, SampleGradient()}, {}}};
    });
REGISTER_KERNEL("_ResourceApplyAdamW", DeviceType::kCpu, {DType::kFloat32}, MakeAdamW);

}  // namespace
}  // namespace tributary

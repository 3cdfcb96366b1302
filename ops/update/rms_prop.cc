#include "core/runtime/execute.h"
#include "ops/update/update.h"
#include "ops/update_ops.h"

namespace tributary {
namespace ops {

void ResourceApplyRMSProp(const Tensor& var, const Tensor& ms, const Tensor& mom,
                          const Tensor& lr, const Tensor& rho, const Tensor& momentum,
                          const Tensor& epsilon, const Tensor& grad) {
  Execute("ResourceApplyRMSProp", {var, ms, mom, lr, rho, momentum, epsilon, grad});
}

void ResourceApplyCenteredRMSProp(const Tensor& var, const Tensor& mg, const Tensor& ms,
                                  const Tensor& mom, const Tensor& lr, const Tensor& rho,
                                  const Tensor& momentum, const Tensor& epsilon,
                                  const Tensor& grad) {
  Execute("ResourceApplyCenteredRMSProp", {var, mg, ms, mom, lr, rho, momentum, epsilon, grad});
}

}  // namespace ops

namespace {

// lr and what follows it start at input `first`.
UpdateNumbers NumbersAt(const LaunchArgs& args, int first) {
  return {.a = Number(args, first), .b = 1.0f - Number(args, first + 1),
          .c = Number(args, first + 2), .d = Number(args, first + 3)};
}

std::unique_ptr<Kernel> MakeRMSProp(PrepareContext& c) {
  return MakeKernel([count = c.in_shape(0).NumElements()](const LaunchArgs& args) {
    RunUpdate(UpdateRule::kRMSProp,
              {.var = Slot(args, 0), .slot0 = Slot(args, 1), .slot1 = Slot(args, 2),
               .grad = Slot(args, 7)},
              NumbersAt(args, 3), count);
  });
}

std::unique_ptr<Kernel> MakeCenteredRMSProp(PrepareContext& c) {
  return MakeKernel([count = c.in_shape(0).NumElements()](const LaunchArgs& args) {
    RunUpdate(UpdateRule::kCenteredRMSProp,
              {.var = Slot(args, 0), .slot0 = Slot(args, 2), .slot1 = Slot(args, 3),
               .slot2 = Slot(args, 1), .grad = Slot(args, 8)},
              NumbersAt(args, 4), count);
  });
}

REGISTER_OP("ResourceApplyRMSProp")
    .Input("var: resource")
    .Input("ms: resource")
    .Input("mom: resource")
    .Input("lr: T")
    .Input("rho: T")
    .Input("momentum: T")
    .Input("epsilon: T")
    .Input("grad: T")
    .Attr("T: {float32}")
    .Attr("use_locking: bool = false")
    .Shape([](InferenceContext& c) { UpdateShape(c, 3, 7); })
    .Stateful()
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{
          {{SampleVariable(0), SampleVariable(1), SampleVariable(0), 0.1f, 0.9f, 0.5f, 1e-3f, SampleGradient()}, {}}};
    });
REGISTER_KERNEL("ResourceApplyRMSProp", DeviceType::kCpu, {DType::kFloat32}, MakeRMSProp);

REGISTER_OP("ResourceApplyCenteredRMSProp")
    .Input("var: resource")
    .Input("mg: resource")
    .Input("ms: resource")
    .Input("mom: resource")
    .Input("lr: T")
    .Input("rho: T")
    .Input("momentum: T")
    .Input("epsilon: T")
    .Input("grad: T")
    .Attr("T: {float32}")
    .Attr("use_locking: bool = false")
    .Shape([](InferenceContext& c) { UpdateShape(c, 4, 8); })
    .Stateful()
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{
          {{SampleVariable(0), SampleVariable(0), SampleVariable(2), SampleVariable(0), 0.1f, 0.9f, 0.5f, 1e-3f, SampleGradient()}, {}}};
    });
REGISTER_KERNEL("ResourceApplyCenteredRMSProp", DeviceType::kCpu, {DType::kFloat32}, MakeCenteredRMSProp);

}  // namespace
}  // namespace tributary

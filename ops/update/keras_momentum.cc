#include "core/runtime/execute.h"
#include "ops/update/update.h"
#include "ops/update_ops.h"

namespace tributary {
namespace ops {

void ResourceApplyKerasMomentum(const Tensor& var, const Tensor& accum, const Tensor& lr,
                                const Tensor& grad, const Tensor& momentum, bool use_nesterov) {
  Execute("ResourceApplyKerasMomentum", {var, accum, lr, grad, momentum},
          {{"use_nesterov", use_nesterov}});
}

}  // namespace ops

namespace {

std::unique_ptr<Kernel> MakeKerasMomentum(PrepareContext& c) {
  const UpdateRule rule =
      c.attr<bool>("use_nesterov") ? UpdateRule::kKerasNesterov : UpdateRule::kKerasMomentum;
  return MakeKernel([rule, count = c.in_shape(0).NumElements()](const LaunchArgs& args) {
    RunUpdate(rule, {.var = Slot(args, 0), .slot0 = Slot(args, 1), .grad = Slot(args, 3)},
              {.a = Number(args, 2), .b = Number(args, 4)}, count);
  });
}

REGISTER_OP("ResourceApplyKerasMomentum")
    .Input("var: resource")
    .Input("accum: resource")
    .Input("lr: T")
    .Input("grad: T")
    .Input("momentum: T")
    .Attr("T: {float32}")
    .Attr("use_nesterov: bool = false")
    .Attr("use_locking: bool = false")
    .Shape([](InferenceContext& c) { UpdateShape(c, 2, 3); })
    .Stateful()
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{
          {{SampleVariable(0), SampleVariable(0), 0.1f, SampleGradient(), 0.9f}, {{"use_nesterov", false}}},
          {{SampleVariable(0), SampleVariable(0), 0.1f, SampleGradient(), 0.9f}, {{"use_nesterov", true}}}};
    });
REGISTER_KERNEL("ResourceApplyKerasMomentum", DeviceType::kCpu, {DType::kFloat32}, MakeKerasMomentum);

}  // namespace
}  // namespace tributary

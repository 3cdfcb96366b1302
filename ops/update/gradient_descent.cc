#include "core/runtime/execute.h"
#include "ops/update/update.h"
#include "ops/update_ops.h"

namespace tributary {
namespace ops {

void ResourceApplyGradientDescent(const Tensor& var, const Tensor& alpha, const Tensor& delta) {
  Execute("ResourceApplyGradientDescent", {var, alpha, delta});
}

}  // namespace ops

namespace {

std::unique_ptr<Kernel> MakeGradientDescent(PrepareContext& c) {
  return MakeKernel([count = c.in_shape(0).NumElements()](const LaunchArgs& args) {
    RunUpdate(UpdateRule::kGradientDescent, {.var = Slot(args, 0), .grad = Slot(args, 2)},
              {.a = Number(args, 1)}, count);
  });
}

REGISTER_OP("ResourceApplyGradientDescent")
    .Input("var: resource")
    .Input("alpha: T")
    .Input("delta: T")
    .Attr("T: {float32}")
    .Attr("use_locking: bool = false")
    .Shape([](InferenceContext& c) { UpdateShape(c, 1, 2); })
    .Stateful()
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{
          {{SampleVariable(0), 0.1f, SampleGradient()}, {}}};
    });
REGISTER_KERNEL("ResourceApplyGradientDescent", DeviceType::kCpu, {DType::kFloat32}, MakeGradientDescent);

}  // namespace
}  // namespace tributary

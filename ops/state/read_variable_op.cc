// ReadVariableOp, VarIsInitializedOp.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "core/runtime/variable.h"
#include "ops/array/shape_rules.h"
#include "ops/state_ops.h"

namespace tributary {
namespace {

std::vector<OpSample> VariableSample() {
  const auto variable = Variable::Create("v", Tensor::FromVector<double>({1, 2, 3}));
  return {{{variable->handle()}}};
}

}  // namespace

REGISTER_OP("ReadVariableOp")
    .Input("resource: resource")
    .Output("value: dtype")
    .Attr("dtype: type")
    .Shape(ops::UnchangedShape)
    .Gradient([](const GradContext& g) -> Grads { return {g.grad()}; })
    .Samples(VariableSample)
    .Stateful();
REGISTER_KERNEL("ReadVariableOp", DeviceType::kCpu, {},
                [](PrepareContext& c) -> std::unique_ptr<Kernel> {
                  c.forward(0, 0);
                  return nullptr;
                });

REGISTER_OP("VarIsInitializedOp")
    .Input("resource: resource")
    .Output("is_initialized: bool")
    .Shape(ops::ScalarShape)
    .NotDifferentiable()
    .Stateful()
    .Samples(VariableSample);
REGISTER_KERNEL("VarIsInitializedOp", DeviceType::kCpu, {}, [](PrepareContext& c) {
  c.only_reads();
  return MakeKernel([](const LaunchArgs& args) { *static_cast<bool*>(args.out[0]) = true; });
});

namespace ops {

Tensor ReadVariableOp(const Tensor& resource) {
  return Execute1("ReadVariableOp", {resource}, {{"dtype", resource.spec().handle_dtype}});
}

Tensor VarIsInitializedOp(const Tensor& resource) {
  return Execute1("VarIsInitializedOp", {resource});
}

}  // namespace ops
}  // namespace tributary

#include "core/runtime/execute.h"
#include "ops/update/update.h"
#include "ops/update_ops.h"

namespace tributary {
namespace ops {

void ResourceApplyAdagradV2(const Tensor& var, const Tensor& accum, const Tensor& lr,
                            const Tensor& epsilon, const Tensor& grad, bool update_slots) {
  Execute("ResourceApplyAdagradV2", {var, accum, lr, epsilon, grad},
          {{"update_slots", update_slots}});
}

void ResourceApplyKerasAdagrad(const Tensor& var, const Tensor& accum, const Tensor& lr,
                               const Tensor& epsilon, const Tensor& grad) {
  Execute("_ResourceApplyKerasAdagrad", {var, accum, lr, epsilon, grad});
}

void ResourceSparseApplyAdagradV2(const Tensor& var, const Tensor& accum, const Tensor& lr,
                                  const Tensor& epsilon, const Tensor& grad,
                                  const Tensor& indices, bool update_slots) {
  Execute("ResourceSparseApplyAdagradV2", {var, accum, lr, epsilon, grad, indices},
          {{"update_slots", update_slots}});
}

}  // namespace ops

namespace {

UpdateRule RuleOf(const PrepareContext& c) {
  return c.attr<bool>("update_slots") ? UpdateRule::kAdagrad : UpdateRule::kAdagradFrozen;
}

std::unique_ptr<Kernel> MakeDense(PrepareContext& c, UpdateRule rule) {
  return MakeKernel([rule, count = c.in_shape(0).NumElements()](const LaunchArgs& args) {
    RunUpdate(rule, {.var = Slot(args, 0), .slot0 = Slot(args, 1), .grad = Slot(args, 4)},
              {.a = Number(args, 2), .b = Number(args, 3)}, count);
  });
}

std::unique_ptr<Kernel> MakeSparseAdagrad(PrepareContext& c) {
  const UpdateFn fn = FindUpdate(RuleOf(c));
  const int64_t rows = c.in_shape(0)[0], count = c.in_shape(5)[0];
  const int64_t width = rows ? c.in_shape(0).NumElements() / rows : 0;
  return MakeKernel([=, dtype = c.in_dtype(5)](const LaunchArgs& args) {
    const UpdateNumbers numbers{.a = Number(args, 2), .b = Number(args, 3)};
    OverRows("ResourceSparseApplyAdagradV2", args.in[5], dtype, count, rows,
             [&](int64_t row, int64_t i) {
               fn({.var = Slot(args, 0) + row * width,
                   .slot0 = Slot(args, 1) + row * width,
                   .grad = Slot(args, 4) + i * width},
                  numbers, 0, width);
             });
  });
}

std::unique_ptr<Kernel> MakeAdagrad(PrepareContext& c) { return MakeDense(c, RuleOf(c)); }
std::unique_ptr<Kernel> MakeKerasAdagrad(PrepareContext& c) {
  return MakeDense(c, UpdateRule::kKerasAdagrad);
}

REGISTER_OP("ResourceApplyAdagradV2")
    .Input("var: resource")
    .Input("accum: resource")
    .Input("lr: T")
    .Input("epsilon: T")
    .Input("grad: T")
    .Attr("T: {float32}")
    .Attr("update_slots: bool = true")
    .Attr("use_locking: bool = false")
    .Shape([](InferenceContext& c) { UpdateShape(c, 2, 4); })
    .Stateful()
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{
          {{SampleVariable(0), SampleVariable(1), 0.1f, 1e-7f, SampleGradient()}, {{"update_slots", true}}},
          {{SampleVariable(0), SampleVariable(1), 0.1f, 1e-7f, SampleGradient()}, {{"update_slots", false}}}};
    });
REGISTER_KERNEL("ResourceApplyAdagradV2", DeviceType::kCpu, {DType::kFloat32}, MakeAdagrad);

REGISTER_OP("_ResourceApplyKerasAdagrad")
    .Input("var: resource")
    .Input("accum: resource")
    .Input("lr: T")
    .Input("epsilon: T")
    .Input("grad: T")
    .Attr("T: {float32}")
    .Shape([](InferenceContext& c) { UpdateShape(c, 2, 4); })
    .Stateful()
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{
          {{SampleVariable(0), SampleVariable(1), 0.1f, 1e-7f, SampleGradient()}, {}}};
    });
REGISTER_KERNEL("_ResourceApplyKerasAdagrad", DeviceType::kCpu, {DType::kFloat32},
                MakeKerasAdagrad);

REGISTER_OP("ResourceSparseApplyAdagradV2")
    .Input("var: resource")
    .Input("accum: resource")
    .Input("lr: T")
    .Input("epsilon: T")
    .Input("grad: T")
    .Input("indices: Tindices")
    .Attr("T: {float32}")
    .Attr("Tindices: {int32, int64}")
    .Attr("update_slots: bool = true")
    .Attr("use_locking: bool = false")
    .Shape([](InferenceContext& c) { UpdateShape(c, 2, 4, 5); })
    .Stateful()
    .NotDifferentiable()
    .Samples([] {
      const Tensor rows = Tensor::FromVector<int64_t>({2, 0, 2});
      return std::vector<OpSample>{
          {{SampleVariable(0), SampleVariable(1), 0.1f, 1e-7f, SampleGradient(), rows}, {{"update_slots", true}}},
          {{SampleVariable(0), SampleVariable(1), 0.1f, 1e-7f, SampleGradient(), rows}, {{"update_slots", false}}}};
    });
REGISTER_KERNEL("ResourceSparseApplyAdagradV2", DeviceType::kCpu, {DType::kFloat32}, MakeSparseAdagrad);

}  // namespace
}  // namespace tributary

#include "core/runtime/execute.h"
#include "ops/update/update.h"
#include "ops/update_ops.h"

namespace tributary {
namespace ops {

void ResourceApplyMomentum(const Tensor& var, const Tensor& accum, const Tensor& lr,
                           const Tensor& grad, const Tensor& momentum, bool use_nesterov) {
  Execute("ResourceApplyMomentum", {var, accum, lr, grad, momentum},
          {{"use_nesterov", use_nesterov}});
}

void ResourceSparseApplyMomentum(const Tensor& var, const Tensor& accum, const Tensor& lr,
                                 const Tensor& grad, const Tensor& indices,
                                 const Tensor& momentum, bool use_nesterov) {
  Execute("ResourceSparseApplyMomentum", {var, accum, lr, grad, indices, momentum},
          {{"use_nesterov", use_nesterov}});
}

}  // namespace ops

namespace {

std::unique_ptr<Kernel> MakeMomentum(PrepareContext& c) {
  const UpdateRule rule =
      c.attr<bool>("use_nesterov") ? UpdateRule::kNesterov : UpdateRule::kMomentum;
  return MakeKernel([rule, count = c.in_shape(0).NumElements()](const LaunchArgs& args) {
    RunUpdate(rule, {.var = Slot(args, 0), .slot0 = Slot(args, 1), .grad = Slot(args, 3)},
              {.a = Number(args, 2), .b = Number(args, 4)}, count);
  });
}

std::unique_ptr<Kernel> MakeSparseMomentum(PrepareContext& c) {
  const UpdateFn fn = FindUpdate(c.attr<bool>("use_nesterov") ? UpdateRule::kNesterov
                                                              : UpdateRule::kMomentum);
  const int64_t rows = c.in_shape(0)[0], count = c.in_shape(4)[0];
  const int64_t width = rows ? c.in_shape(0).NumElements() / rows : 0;
  return MakeKernel([=, dtype = c.in_dtype(4)](const LaunchArgs& args) {
    const UpdateNumbers numbers{.a = Number(args, 2), .b = Number(args, 5)};
    OverRows("ResourceSparseApplyMomentum", args.in[4], dtype, count, rows,
             [&](int64_t row, int64_t i) {
               fn({.var = Slot(args, 0) + row * width,
                   .slot0 = Slot(args, 1) + row * width,
                   .grad = Slot(args, 3) + i * width},
                  numbers, 0, width);
             });
  });
}

REGISTER_OP("ResourceApplyMomentum")
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
REGISTER_KERNEL("ResourceApplyMomentum", DeviceType::kCpu, {DType::kFloat32}, MakeMomentum);

REGISTER_OP("ResourceSparseApplyMomentum")
    .Input("var: resource")
    .Input("accum: resource")
    .Input("lr: T")
    .Input("grad: T")
    .Input("indices: Tindices")
    .Input("momentum: T")
    .Attr("T: {float32}")
    .Attr("Tindices: {int32, int64}")
    .Attr("use_nesterov: bool = false")
    .Attr("use_locking: bool = false")
    .Shape([](InferenceContext& c) { UpdateShape(c, 2, 3, 4); })
    .Stateful()
    .NotDifferentiable()
    .Samples([] {
      const Tensor rows = Tensor::FromVector<int64_t>({2, 0, 2});
      return std::vector<OpSample>{
          {{SampleVariable(0), SampleVariable(0), 0.1f, SampleGradient(), rows, 0.9f}, {{"use_nesterov", false}}},
          {{SampleVariable(0), SampleVariable(0), 0.1f, SampleGradient(), rows, 0.9f}, {{"use_nesterov", true}}}};
    });
REGISTER_KERNEL("ResourceSparseApplyMomentum", DeviceType::kCpu, {DType::kFloat32}, MakeSparseMomentum);

}  // namespace
}  // namespace tributary

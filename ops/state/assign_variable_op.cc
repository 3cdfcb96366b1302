// AssignVariableOp, AssignAddVariableOp, AssignSubVariableOp.

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "core/runtime/variable.h"
#include "ops/math/number.h"
#include "ops/state_ops.h"

namespace tributary {
namespace {

void AssignShape(InferenceContext& c) {
  if (!c.shape(0).IsCompatibleWith(c.shape(1))) {
    throw InvalidArgumentError("[{}] the variable has shape {}, the value {}", c.op(),
                               c.shape(0).ToString(), c.shape(1).ToString());
  }
}

std::vector<OpSample> AssignSamples() {
  const auto variable = Variable::Create("v", Tensor::FromVector<float>({1, 2, 3}));
  const auto counter = Variable::Create("counter", Tensor(int64_t{4}));
  return {{{variable->handle(), Tensor::FromVector<float>({4, 5, 6})}},
          {{counter->handle(), Tensor(int64_t{1})}}};
}

std::unique_ptr<Kernel> MakeAssign(PrepareContext& c) {
  const size_t bytes = c.in_shape(1).NumElements() * DTypeSize(c.in_dtype(1));
  return MakeKernel([bytes](const LaunchArgs& args) {
    if (bytes && args.in[0] != args.in[1]) std::memmove(args.in[0], args.in[1], bytes);
  });
}

template <bool kAdd>
std::unique_ptr<Kernel> MakeUpdate(PrepareContext& c) {
  const int64_t count = c.in_shape(1).NumElements();
  return DispatchNumber(c.in_dtype(0), c.op().c_str(), [&](auto zero) -> std::unique_ptr<Kernel> {
    using T = decltype(zero);
    return MakeKernel([count](const LaunchArgs& args) {
      T* v = static_cast<T*>(args.in[0]);
      const T* d = static_cast<const T*>(args.in[1]);
      ParallelFor(count, 1 << 15, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          v[i] = kAdd ? Add(v[i], d[i]) : Sub(v[i], d[i]);
        }
      });
    });
  });
}

}  // namespace

#define REGISTER_ASSIGN_OP(op, factory, ...)                                        \
  REGISTER_OP(op)                                                                   \
      .Input("resource: resource")                                                  \
      .Input("value: dtype")                                                        \
      .Attr("dtype: type") __VA_ARGS__                                              \
      .Shape(AssignShape)                                                           \
      .NotDifferentiable()                                                          \
      .Stateful()                                                                   \
      .Samples(AssignSamples);                                                      \
  REGISTER_KERNEL(op, DeviceType::kCpu, {}, factory)

REGISTER_ASSIGN_OP("AssignVariableOp", MakeAssign, .Attr("validate_shape: bool = false"));
REGISTER_ASSIGN_OP("AssignAddVariableOp", MakeUpdate<true>, );
REGISTER_ASSIGN_OP("AssignSubVariableOp", MakeUpdate<false>, );

namespace ops {

void AssignVariableOp(const Tensor& resource, const Tensor& value) {
  Execute("AssignVariableOp", {resource, value});
}

void AssignAddVariableOp(const Tensor& resource, const Tensor& value) {
  Execute("AssignAddVariableOp", {resource, value});
}

void AssignSubVariableOp(const Tensor& resource, const Tensor& value) {
  Execute("AssignSubVariableOp", {resource, value});
}

}  // namespace ops
}  // namespace tributary

// Const: a value held by the node.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array_ops.h"

namespace tributary {

REGISTER_OP("Const")
    .Output("output: dtype")
    .Attr("value: tensor")
    .Attr("dtype: type")
    .Shape([](InferenceContext& c) {
      const Tensor& value = c.attr<Tensor>("value");
      if (value.dtype() != c.attr<DType>("dtype")) {
        throw InvalidArgumentError("[Const] dtype is {}, the value is {}",
                                   DTypeName(c.attr<DType>("dtype")), DTypeName(value.dtype()));
      }
      c.set_output(0, value.shape());
    })
    .NotDifferentiable()
    .Samples([] {
      const Tensor value = Tensor::FromVector<float>({1, 2, 3});
      return std::vector<OpSample>{{{}, {{"value", value}, {"dtype", value.dtype()}}}};
    });

namespace {

std::unique_ptr<Kernel> MakeConst(PrepareContext& c) {
  const Tensor value = c.attr<Tensor>("value");
  return MakeKernel([value](const LaunchArgs& args) {
    if (value.dtype() == DType::kString) {
      std::copy_n(value.data<std::string>(), value.NumElements(),
                  static_cast<std::string*>(args.out[0]));
    } else if (value.bytes()) {
      std::memcpy(args.out[0], value.raw_data(), value.bytes());
    }
  });
}

REGISTER_KERNEL("Const", DeviceType::kCpu, {}, MakeConst);

}  // namespace

namespace ops {

Tensor Const(const Tensor& value, const std::string& name) {
  Graph* graph = CurrentGraph();
  return graph && !value.IsSymbolic() ? graph->Constant(value, name) : value;
}

Tensor ScalarLike(const Tensor& x, double value) {
  return DispatchPlain(x.dtype(), "ScalarLike", [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      return Tensor::Scalar<T>(T(static_cast<float>(value)));
    } else {
      return Tensor::Scalar<T>(static_cast<T>(value));
    }
  });
}

}  // namespace ops
}  // namespace tributary

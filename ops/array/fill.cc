// Fill, ZerosLike, OnesLike: tensors of one value.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/number.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

std::unique_ptr<Kernel> MakeFill(PrepareContext& c) {
  const int64_t count = c.out_shape(0).NumElements();
  if (c.in_dtype(1) == DType::kString) {
    return MakeKernel([count](const LaunchArgs& args) {
      std::fill_n(static_cast<std::string*>(args.out[0]), count,
                  *static_cast<const std::string*>(args.in[1]));
    });
  }
  return DispatchPlain(c.in_dtype(1), "Fill", [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([count](const LaunchArgs& args) {
      std::fill_n(static_cast<T*>(args.out[0]), count, *static_cast<const T*>(args.in[1]));
    }));
  });
}

template <int kValue>
std::unique_ptr<Kernel> MakeLike(PrepareContext& c) {
  const int64_t count = c.out_shape(0).NumElements();
  return DispatchPlain(c.in_dtype(0), c.op().c_str(), [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([count](const LaunchArgs& args) {
      std::fill_n(static_cast<T*>(args.out[0]), count, T(kValue));
    }));
  });
}

std::vector<OpSample> LikeSamples() {
  return {{{Tensor::FromVector<double>({1, 2, 3, 4}, {2, 2})}},
          {{Tensor(int32_t{3})}},
          {{Tensor::Zeros(DType::kFloat32, {0, 3})}}};
}

Grads NoGradient(const GradContext& g) { return Grads(g.num_inputs()); }

Tensor Uniform(const ops::IntList& dims, DType dtype, double value) {
  return ops::Fill(dims, ops::ScalarLike(Tensor::Empty(dtype, {}), value));
}

}  // namespace

REGISTER_OP("Fill")
    .Input("dims: index_type")
    .Input("value: T")
    .Output("output: T")
    .Attr("T: type")
    .Attr("index_type: {int32, int64} = int32")
    .Shape([](InferenceContext& c) {
      ops::RequireScalar(c, 1, "value");
      c.set_output(0, ops::ShapeFromInput(c, 0));
    })
    .Gradient([](const GradContext& g) -> Grads { return {{}, ops::Sum(g.grad())}; })
    .Samples([] {
      return std::vector<OpSample>{{{Tensor::FromVector<int32_t>({2, 3}), Tensor(1.5)}},
                                   {{Tensor::FromVector<int64_t>({0}), Tensor(int32_t{1})}}};
    });
REGISTER_KERNEL("Fill", DeviceType::kCpu, {}, MakeFill);

REGISTER_OP("ZerosLike")
    .Input("x: T")
    .Output("y: T")
    .Attr("T: type")
    .Shape(ops::UnchangedShape)
    .Gradient(NoGradient)
    .ShapeOnly()
    .Samples(LikeSamples);
REGISTER_KERNEL("ZerosLike", DeviceType::kCpu, {}, MakeLike<0>);

REGISTER_OP("OnesLike")
    .Input("x: T")
    .Output("y: T")
    .Attr("T: type")
    .Shape(ops::UnchangedShape)
    .Gradient(NoGradient)
    .ShapeOnly()
    .Samples(LikeSamples);
REGISTER_KERNEL("OnesLike", DeviceType::kCpu, {}, MakeLike<1>);

namespace ops {

Tensor Fill(const IntList& dims, const Tensor& value) {
  return Execute1("Fill", {dims.tensor(), value});
}

Tensor Zeros(const IntList& dims, DType dtype) { return Uniform(dims, dtype, 0); }
Tensor Ones(const IntList& dims, DType dtype) { return Uniform(dims, dtype, 1); }
Tensor ZerosLike(const Tensor& x) { return Execute1("ZerosLike", {x}); }
Tensor OnesLike(const Tensor& x) { return Execute1("OnesLike", {x}); }

}  // namespace ops
}  // namespace tributary

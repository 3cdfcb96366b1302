// Unpack (tf.unstack): one tensor per position along an axis.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array/strided_copy.h"
#include "ops/array_ops.h"

namespace tributary {
namespace {

void UnpackShape(InferenceContext& c) {
  const Shape& shape = c.shape(0);
  if (shape.unknown_rank()) return;
  const int axis = NormalizeAxis(c.attr<int64_t>("axis"), shape.rank(), c.op());
  ops::MergeDims(c, shape[axis], c.num_outputs(), "the number of outputs and the dimension");
  std::vector<int64_t> dims = shape.dims();
  dims.erase(dims.begin() + axis);
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, Shape(dims));
}

std::unique_ptr<Kernel> MakeUnpack(PrepareContext& c) {
  const Shape& in = c.in_shape(0);
  const int axis = NormalizeAxis(c.attr<int64_t>("axis"), in.rank(), c.op());
  auto strides = in.Strides();
  const int64_t step = strides[axis];
  strides.erase(strides.begin() + axis);
  std::vector<StridedCopy> copies;
  for (int i = 0; i < c.num_outputs(); ++i) {
    const Shape& out = c.out_shape(i);
    copies.emplace_back(c.in_dtype(0), out.dims(), strides, out.Strides(), i * step);
  }
  return MakeKernel([copies](const LaunchArgs& args) {
    for (size_t i = 0; i < copies.size(); ++i) copies[i](args.in[0], args.out[i]);
  });
}

}  // namespace

REGISTER_OP("Unpack")
    .Input("value: T")
    .Output("output: num * T")
    .Attr("num: int >= 0")
    .Attr("T: type")
    .Attr("axis: int = 0")
    .Shape(UnpackShape)
    .Gradient([](const GradContext& g) -> Grads {
      std::vector<Tensor> parts;
      for (int i = 0; i < g.num_outputs(); ++i) parts.push_back(g.grad(i));
      return {ops::Pack(parts, g.attr<int64_t>("axis"))};
    })
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6}, {2, 3});
      return std::vector<OpSample>{{{x}, {{"num", 2}}}, {{x}, {{"num", 3}, {"axis", -1}}}};
    });
REGISTER_KERNEL("Unpack", DeviceType::kCpu, {}, MakeUnpack);

namespace ops {

std::vector<Tensor> Unpack(const Tensor& value, int64_t axis, int64_t num) {
  if (num < 0) num = value.dim(static_cast<int>(axis));
  if (num < 0) {
    throw InvalidArgumentError("[Unpack] dimension {} of shape {} is unknown; give num", axis,
                               value.shape().ToString());
  }
  return Execute("Unpack", {value}, {{"num", num}, {"axis", axis}});
}

}  // namespace ops
}  // namespace tributary

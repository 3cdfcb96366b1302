// Pack (tf.stack): joins tensors of one shape along a new axis.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array/strided_copy.h"
#include "ops/array_ops.h"

namespace tributary {
namespace {

void PackShape(InferenceContext& c) {
  Shape shape = c.shape(0);
  for (int i = 1; i < c.num_inputs(); ++i) shape = ops::MergeShapes(c, shape, c.shape(i));
  if (shape.unknown_rank()) return c.set_output(0, shape);
  const int axis = NormalizeAxis(c.attr<int64_t>("axis"), shape.rank() + 1, c.op());
  std::vector<int64_t> dims = shape.dims();
  dims.insert(dims.begin() + axis, c.num_inputs());
  c.set_output(0, Shape(dims));
}

std::unique_ptr<Kernel> MakePack(PrepareContext& c) {
  const Shape& in = c.in_shape(0);
  const Shape& out = c.out_shape(0);
  const int axis = NormalizeAxis(c.attr<int64_t>("axis"), out.rank(), c.op());
  auto strides = out.Strides();
  const int64_t step = strides[axis];
  strides.erase(strides.begin() + axis);
  std::vector<StridedCopy> copies;
  for (int i = 0; i < c.num_inputs(); ++i) {
    copies.emplace_back(c.in_dtype(0), in.dims(), in.Strides(), strides, 0, i * step);
  }
  return MakeKernel([copies](const LaunchArgs& args) {
    for (size_t i = 0; i < copies.size(); ++i) copies[i](args.in[i], args.out[0]);
  });
}

}  // namespace

REGISTER_OP("Pack")
    .Input("values: N * T")
    .Output("output: T")
    .Attr("N: int >= 1")
    .Attr("T: type")
    .Attr("axis: int = 0")
    .Shape(PackShape)
    .Gradient([](const GradContext& g) -> Grads {
      Grads grads;
      for (const Tensor& part :
           ops::Unpack(g.grad(), g.attr<int64_t>("axis"), g.num_inputs())) {
        grads.push_back(part);
      }
      return grads;
    })
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3});
      const Tensor y = Tensor::FromVector<double>({4, 5, 6});
      return std::vector<OpSample>{{{x, y}}, {{x, y, x}, {{"axis", -1}}}, {{Tensor(2.0)}}};
    });
REGISTER_KERNEL("Pack", DeviceType::kCpu, {}, MakePack);

namespace ops {

Tensor Pack(const std::vector<Tensor>& values, int64_t axis) {
  return Execute1("Pack", values, {{"axis", axis}});
}

}  // namespace ops
}  // namespace tributary

// ExpandDims: a view with a new axis of size 1.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"

namespace tributary {

REGISTER_OP("ExpandDims")
    .Input("input: T")
    .Input("dim: Tdim")
    .Output("output: T")
    .Attr("T: type")
    .Attr("Tdim: {int32, int64} = int32")
    .Shape([](InferenceContext& c) {
      const auto dim = ops::ConstantInt(c, 1);
      const Shape& shape = c.shape(0);
      if (!dim || shape.unknown_rank()) return c.set_output(0, Shape::UnknownRank());
      std::vector<int64_t> dims = shape.dims();
      dims.insert(dims.begin() + NormalizeAxis(*dim, shape.rank() + 1, c.op()), 1);
      c.set_output(0, Shape(dims));
    })
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::ReshapeLike(g.grad(), g.input(0)), {}};
    })
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6}, {2, 3});
      return std::vector<OpSample>{{{x, Tensor(0)}}, {{x, Tensor(-1)}}, {{x, Tensor(1)}}};
    });
REGISTER_KERNEL("ExpandDims", DeviceType::kCpu, {},
                [](PrepareContext& c) -> std::unique_ptr<Kernel> {
                  c.forward(0, 0);
                  return nullptr;
                });

namespace ops {

Tensor ExpandDims(const Tensor& input, int64_t axis) {
  return Execute1("ExpandDims", {input, Tensor(static_cast<int32_t>(axis))});
}

}  // namespace ops
}  // namespace tributary

// Squeeze: a view without dimensions of size 1.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array_ops.h"

namespace tributary {
namespace {

void SqueezeShape(InferenceContext& c) {
  const auto& axes = c.attr<std::vector<int64_t>>("squeeze_dims");
  const Shape& shape = c.shape(0);
  if (shape.unknown_rank() || (axes.empty() && !shape.IsFullyDefined())) {
    return c.set_output(0, Shape::UnknownRank());
  }
  std::vector<bool> drop(shape.rank());
  for (const int64_t axis : axes) {
    const int i = NormalizeAxis(axis, shape.rank(), c.op());
    if (shape[i] != 1 && shape[i] != Shape::kUnknownDim) {
      throw InvalidArgumentError("[Squeeze] axis {} has size {}, expected 1; shape {}", axis,
                                 shape[i], shape.ToString());
    }
    drop[i] = true;
  }
  Shape result;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!(axes.empty() ? shape[i] == 1 : drop[i])) result.AddDim(shape[i]);
  }
  c.set_output(0, result);
}

}  // namespace

REGISTER_OP("Squeeze")
    .Input("input: T")
    .Output("output: T")
    .Attr("T: type")
    .Attr("squeeze_dims: list(int) = []")
    .Shape(SqueezeShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::ReshapeLike(g.grad(), g.input(0))};
    })
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3}, {1, 3, 1});
      return std::vector<OpSample>{
          {{x}}, {{x}, {{"squeeze_dims", std::vector<int64_t>{-1}}}}};
    });
REGISTER_KERNEL("Squeeze", DeviceType::kCpu, {},
                [](PrepareContext& c) -> std::unique_ptr<Kernel> {
                  c.forward(0, 0);
                  return nullptr;
                });

namespace ops {

Tensor Squeeze(const Tensor& input, const std::vector<int64_t>& axes) {
  return Execute1("Squeeze", {input}, {{"squeeze_dims", axes}});
}

}  // namespace ops
}  // namespace tributary

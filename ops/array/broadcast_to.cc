// BroadcastTo: NumPy broadcasting to a given shape.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array/strided_copy.h"
#include "ops/array_ops.h"

namespace tributary {
namespace {

void BroadcastToShape(InferenceContext& c) {
  const Shape target = ops::ShapeFromInput(c, 1);
  const Shape& from = c.shape(0);
  if (from.IsFullyDefined() && target.IsFullyDefined() &&
      BroadcastShapes(from, target, c.op()) != target) {
    throw InvalidArgumentError("[BroadcastTo] shape {} does not broadcast to {}",
                               from.ToString(), target.ToString());
  }
  c.set_output(0, target);
}

std::unique_ptr<Kernel> MakeBroadcastTo(PrepareContext& c) {
  const Shape& from = c.in_shape(0);
  const Shape& to = c.out_shape(0);
  if (from == to) {
    c.forward(0, 0);
    return nullptr;
  }
  const auto strides = from.Strides();
  std::vector<int64_t> spread(to.rank());
  const int added = to.rank() - from.rank();
  for (int i = 0; i < from.rank(); ++i) spread[added + i] = from[i] == 1 ? 0 : strides[i];
  const StridedCopy copy(c.in_dtype(0), to.dims(), spread, to.Strides());
  return MakeKernel([copy](const LaunchArgs& args) { copy(args.in[0], args.out[0]); });
}

}  // namespace

REGISTER_OP("BroadcastTo")
    .Input("input: T")
    .Input("shape: Tidx")
    .Output("output: T")
    .Attr("T: type")
    .Attr("Tidx: {int32, int64} = int32")
    .Shape(BroadcastToShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::UnbroadcastLike(g.grad(), g.input(0), g.output()), {}};
    })
    .Samples([] {
      const Tensor row = Tensor::FromVector<double>({1, 2, 3});
      const Tensor column = Tensor::FromVector<double>({1, 2}, {2, 1});
      return std::vector<OpSample>{
          {{row, Tensor::FromVector<int32_t>({2, 3})}},
          {{column, Tensor::FromVector<int32_t>({2, 3})}},
          {{Tensor(2.0), Tensor::FromVector<int64_t>({2, 2})}},
          {{row, Tensor::FromVector<int32_t>({0, 3})}}};
    });
REGISTER_KERNEL("BroadcastTo", DeviceType::kCpu, {}, MakeBroadcastTo);

namespace ops {

Tensor BroadcastTo(const Tensor& input, const IntList& shape) {
  return Execute1("BroadcastTo", {input, shape.tensor()});
}

}  // namespace ops
}  // namespace tributary

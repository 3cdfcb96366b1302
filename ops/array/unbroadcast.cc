// _UnbroadcastTo: sums what broadcasting had spread. Where shapes are known, gradients
// of broadcasting ops use Sum and Reshape; where they are open when the graph is made,
// this one op stands for TensorFlow's Shape, BroadcastGradientArgs, Sum and Reshape, and
// costs nothing in a plan whose shapes turn out to be equal.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

// Axes of `spread` to sum for a tensor of this shape.
std::vector<int64_t> SpreadAxes(const Shape& shape, const Shape& spread) {
  const int added = spread.rank() - shape.rank();
  std::vector<int64_t> axes;
  for (int i = 0; i < spread.rank(); ++i) {
    if (i < added || (shape[i - added] == 1 && spread[i] != 1)) axes.push_back(i);
  }
  return axes;
}

void UnbroadcastShape(InferenceContext& c) {
  const Shape target = ops::ShapeFromInput(c, 1);
  const Shape& grad = c.shape(0);
  if (target.IsFullyDefined() && grad.IsFullyDefined() &&
      BroadcastShapes(grad, target, c.op()) != grad) {
    throw InvalidArgumentError("[_UnbroadcastTo] shape {} is no broadcast of {}",
                               grad.ToString(), target.ToString());
  }
  c.set_output(0, target);
}

// The kernel of Sum does the work.
std::unique_ptr<Kernel> MakeUnbroadcast(PrepareContext& c) {
  if (c.in_shape(0) == c.out_shape(0)) {
    c.forward(0, 0);
    return nullptr;
  }
  static const std::string kSum = "Sum";
  const auto axes = SpreadAxes(c.out_shape(0), c.in_shape(0));
  const Tensor list = ops::IntList(axes).tensor();
  const std::vector<TensorSpec> inputs = {{c.in_dtype(0), c.in_shape(0), DType::kInvalid},
                                          list.spec()};
  const std::vector<TensorSpec> outputs = {{c.out_dtype(0), c.out_shape(0), DType::kInvalid}};
  const std::vector<const Tensor*> constants = {nullptr, &list};
  AttrMap attrs = {{"T", c.in_dtype(0)}, {"Tidx", list.dtype()}, {"keep_dims", false}};
  PrepareContext sum(kSum, attrs, inputs, outputs, constants, c.device());
  const OpSchema& schema = OpRegistry().Get(kSum);
  auto kernel = FindKernel(schema, attrs, inputs, c.device()->type())(sum);
  c.set_scratch_bytes(sum.scratch_bytes());
  for (const auto& pair : sum.forwards()) c.forward(pair.output, pair.input);
  return kernel;
}

}  // namespace

REGISTER_OP("_UnbroadcastTo")
    .Input("grad: T")
    .Input("shape: Tshape")
    .Output("output: T")
    .Attr("T: type")
    .Attr("Tshape: {int32, int64} = int32")
    .Shape(UnbroadcastShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::BroadcastTo(g.grad(), ops::ShapeOf(g.input(0))), {}};
    })
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6}, {2, 3});
      return std::vector<OpSample>{{{x, Tensor::FromVector<int32_t>({3})}},
                                   {{x, Tensor::FromVector<int32_t>({2, 1})}},
                                   {{x, Tensor::FromVector<int32_t>({2, 3})}},
                                   {{x, Tensor::FromVector(std::vector<int32_t>())}}};
    });
REGISTER_KERNEL("_UnbroadcastTo", DeviceType::kCpu, {}, MakeUnbroadcast);

namespace ops {
namespace {

// The axes to sum for x when they follow from what is known, else nullopt.
std::optional<std::vector<int64_t>> KnownSpreadAxes(const Shape& x, const Shape& other) {
  if (x.unknown_rank() || other.unknown_rank()) return std::nullopt;
  const int rank = std::max(x.rank(), other.rank());
  std::vector<int64_t> axes;
  for (int i = 0; i < rank; ++i) {
    const int ix = i - (rank - x.rank());
    const int io = i - (rank - other.rank());
    const int64_t dx = ix < 0 ? 1 : x[ix];
    const int64_t d_other = io < 0 ? 1 : other[io];
    if (ix < 0 || (dx == 1 && d_other != 1)) axes.push_back(i);
    if (dx == Shape::kUnknownDim && d_other != 1) return std::nullopt;
  }
  return axes;
}

}  // namespace

Tensor UnbroadcastLike(const Tensor& grad, const Tensor& x, const Tensor& other) {
  const Shape& shape = x.shape();
  if (shape.IsFullyDefined() && grad.shape() == shape) return grad;
  const auto axes = KnownSpreadAxes(shape, other.shape());
  if (!axes) return Execute1("_UnbroadcastTo", {grad, ShapeOf(x)});
  if (axes->empty()) return grad;
  const int added = std::max(0, other.shape().rank() - shape.rank());
  if (static_cast<int>(axes->size()) == added) return Sum(grad, *axes);
  if (added == 0) return Sum(grad, *axes, /*keep_dims=*/true);
  return ReshapeLike(Sum(grad, *axes), x);
}

}  // namespace ops
}  // namespace tributary

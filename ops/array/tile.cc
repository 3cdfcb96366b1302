// Tile: repeats a tensor along each dimension.

#include "core/base/checked.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/constant_value.h"
#include "ops/array/shape_rules.h"
#include "ops/array/strided_copy.h"
#include "ops/array_ops.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

void TileShape(InferenceContext& c) {
  const Shape multiples = ops::ShapeFromInput(c, 1);
  const Shape& shape = c.shape(0);
  if (shape.unknown_rank()) return c.set_output(0, Shape::UnknownRank());
  if (!multiples.unknown_rank() && multiples.rank() != shape.rank()) {
    throw InvalidArgumentError("[Tile] {} multiples do not fit shape {}", multiples.rank(),
                               shape.ToString());
  }
  Shape result;
  for (int i = 0; i < shape.rank(); ++i) {
    const int64_t m = multiples.unknown_rank() ? Shape::kUnknownDim : multiples[i];
    result.AddDim(m < 0 || shape[i] < 0 ? Shape::kUnknownDim
                                        : CheckedMul(shape[i], m, "Tile"));
  }
  c.set_output(0, result);
}

// The output seen as (m0, d0, m1, d1, ...).
std::unique_ptr<Kernel> MakeTile(PrepareContext& c) {
  const Shape& in = c.in_shape(0);
  const Shape& out = c.out_shape(0);
  const auto multiples = c.constant_ints(1);
  const auto in_strides = in.Strides();
  const auto out_strides = out.Strides();
  std::vector<int64_t> dims, from, to;
  for (int i = 0; i < in.rank(); ++i) {
    dims.insert(dims.end(), {multiples[i], in[i]});
    from.insert(from.end(), {0, in_strides[i]});
    to.insert(to.end(), {in[i] * out_strides[i], out_strides[i]});
  }
  const StridedCopy copy(c.in_dtype(0), dims, from, to);
  return MakeKernel([copy](const LaunchArgs& args) { copy(args.in[0], args.out[0]); });
}

Grads TileGradient(const GradContext& g) {
  const Tensor& x = g.input(0);
  if (x.shape().unknown_rank()) throw UnimplementedError("[Tile] gradient of unknown rank");
  std::vector<int64_t> axes;
  for (int i = 0; i < x.rank(); ++i) axes.push_back(2 * i);
  const auto multiples = ops::ConstantInts(g.input(1));
  if (multiples && x.shape().IsFullyDefined()) {
    std::vector<int64_t> split;
    for (int i = 0; i < x.rank(); ++i) split.insert(split.end(), {(*multiples)[i], x.dim(i)});
    return {ops::Sum(ops::Reshape(g.grad(), split), axes), {}};
  }
  const Tensor pairs = ops::Pack({g.input(1), ops::ShapeOf(x, g.input(1).dtype())}, 1);
  return {ops::Sum(ops::Reshape(g.grad(), ops::Reshape(pairs, {-1})), axes), {}};
}

}  // namespace

REGISTER_OP("Tile")
    .Input("input: T")
    .Input("multiples: Tmultiples")
    .Output("output: T")
    .Attr("T: type")
    .Attr("Tmultiples: {int32, int64} = int32")
    .Shape(TileShape)
    .Gradient(TileGradient)
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4}, {2, 2});
      return std::vector<OpSample>{{{x, Tensor::FromVector<int32_t>({2, 3})}},
                                   {{x, Tensor::FromVector<int64_t>({1, 2})}},
                                   {{x, Tensor::FromVector<int32_t>({0, 2})}}};
    });
REGISTER_KERNEL("Tile", DeviceType::kCpu, {}, MakeTile);

namespace ops {

Tensor Tile(const Tensor& input, const IntList& multiples) {
  return Execute1("Tile", {input, multiples.tensor()});
}

}  // namespace ops
}  // namespace tributary

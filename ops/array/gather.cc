// GatherV2: rows of a tensor by index along an axis.

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/constant_value.h"
#include "ops/array/gather_rows.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/number.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

struct GatherAxes {
  int axis, batch_dims;
};

GatherAxes AxesOf(int64_t axis, int64_t batch_dims, const Shape& params, const Shape& indices,
                  const std::string& op) {
  if (batch_dims < 0) batch_dims += indices.rank();
  const int at = NormalizeAxis(axis, params.rank(), op);
  if (batch_dims < 0 || batch_dims > indices.rank() || batch_dims > at) {
    throw InvalidArgumentError("[{}] batch_dims {} does not fit axis {} and indices of shape {}",
                               op, batch_dims, at, indices.ToString());
  }
  return {at, static_cast<int>(batch_dims)};
}

void GatherShape(InferenceContext& c) {
  const Shape& params = c.shape(0);
  const Shape& indices = c.shape(1);
  const auto axis = ops::ConstantInt(c, 2);
  if (!axis || params.unknown_rank() || indices.unknown_rank()) return;
  const GatherAxes at = AxesOf(*axis, c.attr<int64_t>("batch_dims"), params, indices, c.op());
  Shape result;
  for (int i = 0; i < at.axis; ++i) {
    result.AddDim(i < at.batch_dims
                      ? ops::MergeDims(c, params[i], indices[i], "batch dimensions")
                      : params[i]);
  }
  for (int i = at.batch_dims; i < indices.rank(); ++i) result.AddDim(indices[i]);
  for (int i = at.axis + 1; i < params.rank(); ++i) result.AddDim(params[i]);
  c.set_output(0, result);
}

int64_t Product(const Shape& shape, int begin, int end) {
  int64_t product = 1;
  for (int i = begin; i < end; ++i) product *= shape[i];
  return product;
}

std::unique_ptr<Kernel> MakeGather(PrepareContext& c) {
  const Shape& params = c.in_shape(0);
  const Shape& indices = c.in_shape(1);
  const GatherAxes at =
      AxesOf(c.constant_ints(2)[0], c.attr<int64_t>("batch_dims"), params, indices, c.op());
  GatherRows rows;
  rows.op = "GatherV2";
  rows.batch = Product(params, 0, at.batch_dims);
  rows.outer = Product(params, at.batch_dims, at.axis);
  rows.limit = params[at.axis];
  rows.row_bytes = Product(params, at.axis + 1, params.rank()) * DTypeSize(c.in_dtype(0));
  rows.count = Product(indices, at.batch_dims, indices.rank());
  if (!IsPlain(c.in_dtype(0))) {
    throw UnimplementedError("[GatherV2] dtype {} is not supported", DTypeName(c.in_dtype(0)));
  }
  return MakeGatherRows(rows, c.in_dtype(1));
}

std::vector<int64_t> Iota(int64_t begin, int64_t end) {
  std::vector<int64_t> numbers;
  for (int64_t i = begin; i < end; ++i) numbers.push_back(i);
  return numbers;
}

std::vector<int64_t> Joined(const std::vector<std::vector<int64_t>>& parts) {
  std::vector<int64_t> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

bool Known(const Tensor& x, int begin, int end) {
  const auto& dims = x.shape().dims();
  return std::count(dims.begin() + begin, dims.begin() + end, Shape::kUnknownDim) == 0;
}

// The product of dimensions [begin, end) of x as an int64 scalar.
Tensor ElementsOf(const Tensor& x, int begin, int end) {
  if (Known(x, begin, end)) return Tensor(Product(x.shape(), begin, end));
  return ops::Prod(ops::Slice(ops::ShapeOf(x, DType::kInt64), {begin}, {end - begin}));
}

// The dimensions of x at `positions`.
Tensor DimsAt(const Tensor& x, const std::vector<int64_t>& positions) {
  if (Known(x, 0, x.rank())) {
    std::vector<int64_t> dims;
    for (const int64_t i : positions) dims.push_back(x.shape()[static_cast<int>(i)]);
    return ops::IntList(dims).tensor();
  }
  return ops::Gather(ops::ShapeOf(x), ops::IntList(positions).tensor());
}

// `indices` as rows in a list of the rows of all batches, each of `limit` rows.
Tensor WithoutBatches(const Tensor& indices, int batch_dims, const Tensor& batches,
                      const Tensor& limit) {
  Tensor starts = ops::Mul(ops::Range(Tensor(int64_t{0}), batches, Tensor(int64_t{1})), limit);
  starts = ops::Reshape(starts, DimsAt(indices, Iota(0, batch_dims)));
  for (int i = batch_dims; i < indices.rank(); ++i) starts = ops::ExpandDims(starts, -1);
  return ops::Add(ops::Cast(indices, DType::kInt64), starts);
}

// Batches and indices in front, sum rows of equal index, move the axis back.
Tensor SumOfRows(const Tensor& params, const Tensor& indices, const Tensor& dy,
                 const GatherAxes& at) {
  const int rank = params.rank(), b = at.batch_dims, axis = at.axis;
  const int end = axis + indices.rank() - b;  // dimensions of dy from axis count rows
  const Tensor front = ops::Transpose(
      dy, Joined({Iota(0, b), Iota(axis, end), Iota(b, axis), Iota(end, dy.rank())}));
  const Tensor limit = ElementsOf(params, axis, axis + 1);
  const std::vector<int64_t> perm =
      Joined({Iota(0, b), {axis}, Iota(b, axis), Iota(axis + 1, rank)});
  Tensor sums;
  if (b == 0) {
    sums = ops::UnsortedSegmentSum(front, indices, limit);
  } else {
    const Tensor batches = ElementsOf(params, 0, b);
    sums = ops::UnsortedSegmentSum(front, WithoutBatches(indices, b, batches, limit),
                                   ops::Mul(batches, limit));
    sums = ops::Reshape(sums, DimsAt(params, perm));
  }
  return ops::Transpose(sums, ops::InvertPermutation(ops::IntList(perm).tensor()));
}

Grads GatherGradient(const GradContext& g) {
  const Tensor& params = g.input(0);
  const Tensor& indices = g.input(1);
  const auto axis_value = ops::ConstantInts(g.input(2));
  if (!axis_value || params.shape().unknown_rank() || indices.shape().unknown_rank()) {
    throw UnimplementedError("[GatherV2] gradient needs a constant axis and known ranks");
  }
  const GatherAxes at = AxesOf((*axis_value)[0], g.attr<int64_t>("batch_dims"), params.shape(),
                               indices.shape(), g.op());
  if (at.axis > 0) return {SumOfRows(params, indices, g.grad(), at), {}, {}};
  const Tensor flat = ops::Reshape(indices, {-1});
  std::vector<int64_t> rows = params.shape().dims();
  rows[0] = indices.shape().IsFullyDefined() ? indices.NumElements() : -1;
  const bool known = std::count(rows.begin(), rows.end(), -1) <= 1;
  const Tensor values =
      known ? ops::Reshape(g.grad(), rows)
            : ops::Reshape(g.grad(), ops::Concat({ops::IntList({-1}).tensor(),
                                                  ops::Slice(ops::ShapeOf(params), {1}, {-1})},
                                                 0));
  return {IndexedSlices{values, flat, ops::ShapeOf(params)}, {}, {}};
}

}  // namespace

REGISTER_OP("GatherV2")
    .Input("params: Tparams")
    .Input("indices: Tindices")
    .Input("axis: Taxis")
    .Output("output: Tparams")
    .Attr("batch_dims: int = 0")
    .Attr("Tparams: type")
    .Attr("Tindices: {int32, int64}")
    .Attr("Taxis: {int32, int64}")
    .Shape(GatherShape)
    .Gradient(GatherGradient)
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6}, {3, 2});
      const Tensor indices = Tensor::FromVector<int32_t>({2, 0, 2, 1}, {2, 2});
      return std::vector<OpSample>{{{x, indices, Tensor(0)}},
                                   {{x, Tensor::FromVector<int64_t>({1, 1, 0}), Tensor(1)}},
                                   {{x, Tensor(int32_t{1}), Tensor(0)}},
                                   {{x, Tensor::FromVector<int32_t>({1, 0, 0, 1, 1, 1}, {3, 2}),
                                     Tensor(1)}, {{"batch_dims", 1}}},
                                   {{ops::Reshape(x, {1, 3, 2}),
                                     Tensor::FromVector<int64_t>({1, 0, 1}, {1, 3}), Tensor(-1)},
                                    {{"batch_dims", 1}}},
                                   {{x, Tensor::FromVector<int32_t>({1, 0, 1}), Tensor(1)},
                                    {{"batch_dims", 1}}}};
    });
REGISTER_KERNEL("GatherV2", DeviceType::kCpu, {}, MakeGather);

namespace ops {

Tensor Gather(const Tensor& params, const Tensor& indices, int64_t axis, int64_t batch_dims) {
  return Execute1("GatherV2", {params, indices, Tensor(static_cast<int32_t>(axis))},
                  {{"batch_dims", batch_dims}});
}

}  // namespace ops
}  // namespace tributary

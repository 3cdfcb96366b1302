// GatherV2: rows of a tensor by index along an axis.

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/constant_value.h"
#include "ops/array/gather_rows.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/number.h"

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

// Moves `axis` to the front.
std::vector<int64_t> FrontFirst(int rank, int axis, int width) {
  std::vector<int64_t> perm;
  for (int i = 0; i < width; ++i) perm.push_back(axis + i);
  for (int i = 0; i < rank; ++i) {
    if (i < axis || i >= axis + width) perm.push_back(i);
  }
  return perm;
}

Grads GatherGradient(const GradContext& g) {
  const Tensor& params = g.input(0);
  const Tensor& indices = g.input(1);
  const auto axis_value = ops::ConstantInts(g.input(2));
  if (!axis_value || params.shape().unknown_rank() || indices.shape().unknown_rank() ||
      g.attr<int64_t>("batch_dims") != 0) {
    throw UnimplementedError("[GatherV2] gradient needs a constant axis, known ranks and "
                             "batch_dims 0");
  }
  const int axis = NormalizeAxis((*axis_value)[0], params.rank(), g.op());
  const Tensor flat = ops::Reshape(indices, {-1});
  if (axis == 0) {
    std::vector<int64_t> rows = params.shape().dims();
    rows[0] = indices.shape().IsFullyDefined() ? indices.NumElements() : -1;
    const bool known = std::count(rows.begin(), rows.end(), -1) <= 1;
    const Tensor values =
        known ? ops::Reshape(g.grad(), rows)
              : ops::Reshape(g.grad(),
                             ops::Concat({ops::IntList({-1}).tensor(),
                                          ops::Slice(ops::ShapeOf(params), {1}, {-1})},
                                         0));
    return {IndexedSlices{values, flat, ops::ShapeOf(params)}, {}, {}};
  }
  // Indices in front, sum rows of equal index, move the axis back.
  const int rank = params.rank();
  const Tensor front = ops::Transpose(
      g.grad(), FrontFirst(rank - 1 + indices.rank(), axis, indices.rank()));
  const std::vector<int64_t> perm = FrontFirst(rank, axis, 1);
  std::vector<int64_t> rows = {indices.shape().IsFullyDefined() ? indices.NumElements() : -1};
  for (int i = 1; i < rank; ++i) rows.push_back(params.shape()[static_cast<int>(perm[i])]);
  if (std::count(rows.begin(), rows.end(), -1) > 1 || params.shape()[axis] < 0) {
    throw UnimplementedError("[GatherV2] gradient along axis {} needs known shapes", axis);
  }
  const Tensor sums = ops::UnsortedSegmentSum(
      ops::Reshape(front, rows), flat, Tensor(static_cast<int32_t>(params.shape()[axis])));
  return {ops::Transpose(sums, ops::InvertPermutation(ops::IntList(perm).tensor())), {}, {}};
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
                                   {{x, Tensor(int32_t{1}), Tensor(0)}}};
    });
REGISTER_KERNEL("GatherV2", DeviceType::kCpu, {}, MakeGather);

namespace ops {

Tensor Gather(const Tensor& params, const Tensor& indices, int64_t axis, int64_t batch_dims) {
  return Execute1("GatherV2", {params, indices, Tensor(static_cast<int32_t>(axis))},
                  {{"batch_dims", batch_dims}});
}

}  // namespace ops
}  // namespace tributary

// ConcatV2: joins tensors along an axis.

#include "core/base/checked.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/constant_value.h"
#include "ops/array/shape_rules.h"
#include "ops/array/strided_copy.h"
#include "ops/array_ops.h"

namespace tributary {
namespace {

void ConcatShape(InferenceContext& c) {
  const int n = c.num_inputs() - 1;
  const auto axis = ops::ConstantInt(c, n);
  if (!axis) return;
  Shape result = Shape::UnknownRank();
  int at = -1;
  int64_t size = 0;
  for (int i = 0; i < n; ++i) {
    Shape shape = c.shape(i);
    if (shape.unknown_rank()) {
      size = Shape::kUnknownDim;
      continue;
    }
    const int own = NormalizeAxis(*axis, shape.rank(), c.op());
    size = size < 0 || shape[own] < 0 ? Shape::kUnknownDim
                                      : CheckedAdd(size, shape[own], "ConcatV2");
    at = own;
    shape.set_dim(own, Shape::kUnknownDim);
    result = ops::MergeShapes(c, result, shape);
  }
  if (at >= 0) result.set_dim(at, size);
  c.set_output(0, result);
}

std::unique_ptr<Kernel> MakeConcat(PrepareContext& c) {
  const int n = c.num_inputs() - 1;
  const Shape& out = c.out_shape(0);
  const int axis = NormalizeAxis(c.constant_ints(n)[0], out.rank(), c.op());
  const auto strides = out.Strides();
  std::vector<StridedCopy> copies;
  bool in_place = c.in_dtype(0) != DType::kString;
  for (int d = 0; d < axis; ++d) in_place = in_place && out[d] == 1;
  int64_t offset = 0;
  for (int i = 0; i < n; ++i) {
    const Shape& in = c.in_shape(i);
    if (in_place) c.place_input(i, offset * strides[axis] * DTypeSize(c.in_dtype(0)));
    copies.emplace_back(c.in_dtype(0), in.dims(), in.Strides(), strides, 0,
                        offset * strides[axis]);
    offset += in[axis];
  }
  std::vector<int64_t> starts;
  for (const auto& place : c.places()) starts.push_back(place.byte_offset);
  return MakeKernel([copies, starts](const LaunchArgs& args) {
    for (size_t i = 0; i < copies.size(); ++i) {
      if (!starts.empty() && args.in[i] == static_cast<char*>(args.out[0]) + starts[i]) continue;
      copies[i](args.in[i], args.out[0]);
    }
  });
}

Grads ConcatGradient(const GradContext& g) {
  const int n = g.num_inputs() - 1;
  const auto constant = ops::ConstantInts(g.input(n));
  if (!constant) throw UnimplementedError("[ConcatV2] gradient needs a constant axis");
  const int64_t axis = (*constant)[0];
  std::vector<int64_t> sizes;
  for (int i = 0; i < n; ++i) {
    const Shape& shape = g.input(i).shape();
    if (shape.unknown_rank()) throw UnimplementedError("[ConcatV2] gradient of unknown rank");
    sizes.push_back(shape.dim(static_cast<int>(axis)));
  }
  ops::IntList parts = sizes;
  if (std::find(sizes.begin(), sizes.end(), Shape::kUnknownDim) != sizes.end()) {
    std::vector<Tensor> dynamic;
    for (int i = 0; i < n; ++i) {
      const int own = NormalizeAxis(axis, g.input(i).rank(), g.op());
      dynamic.push_back(ops::Slice(ops::ShapeOf(g.input(i)), {own}, {1}));
    }
    parts = ops::Concat(dynamic, 0);
  }
  Grads grads;
  for (const Tensor& part : ops::SplitV(g.grad(), parts, axis)) grads.push_back(part);
  grads.push_back({});
  return grads;
}

}  // namespace

REGISTER_OP("ConcatV2")
    .Input("values: N * T")
    .Input("axis: Tidx")
    .Output("output: T")
    .Attr("N: int >= 1")
    .Attr("T: type")
    .Attr("Tidx: {int32, int64} = int32")
    .Shape(ConcatShape)
    .Gradient(ConcatGradient)
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4}, {2, 2});
      const Tensor y = Tensor::FromVector<double>({5, 6}, {2, 1});
      const Tensor z = Tensor::FromVector<double>({5, 6}, {1, 2});
      return std::vector<OpSample>{{{x, y, x, Tensor(1)}},
                                   {{z, x, Tensor(0)}},
                                   {{x, Tensor::Zeros(DType::kFloat64, {0, 2}), Tensor(-2)}}};
    });
REGISTER_KERNEL("ConcatV2", DeviceType::kCpu, {}, MakeConcat);

namespace ops {

Tensor Concat(const std::vector<Tensor>& values, int64_t axis) {
  std::vector<Tensor> inputs = values;
  inputs.push_back(Tensor(static_cast<int32_t>(axis)));
  return Execute1("ConcatV2", inputs);
}

}  // namespace ops
}  // namespace tributary

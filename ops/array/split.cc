// Split, SplitV: cuts a tensor into pieces along an axis.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/constant_value.h"
#include "ops/array/shape_rules.h"
#include "ops/array/strided_copy.h"
#include "ops/array_ops.h"

namespace tributary {
namespace {

// Sizes of the pieces with a -1 filled in; total < 0: unknown.
std::vector<int64_t> FillSizes(std::vector<int64_t> sizes, int64_t total,
                               const std::string& op) {
  int64_t known = 0;
  int open = -1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < -1 || (sizes[i] == -1 && open >= 0)) {
      throw InvalidArgumentError("[{}] sizes [{}] must not be negative, but one may be -1", op,
                                 fmt::join(sizes, ", "));
    }
    if (sizes[i] == -1) {
      open = static_cast<int>(i);
    } else {
      known += sizes[i];
    }
  }
  if (total < 0) return sizes;
  if (known > total || (open < 0 && known != total)) {
    throw InvalidArgumentError("[{}] sizes [{}] do not add up to {}", op,
                               fmt::join(sizes, ", "), total);
  }
  if (open >= 0) sizes[open] = total - known;
  return sizes;
}

void SetPieces(InferenceContext& c, const Shape& shape, int axis,
               const std::vector<int64_t>& sizes) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    Shape piece = shape;
    piece.set_dim(axis, sizes[i]);
    c.set_output(i, piece);
  }
}

void SplitShape(InferenceContext& c) {
  const auto axis = ops::ConstantInt(c, 0);
  const Shape& shape = c.shape(1);
  if (!axis || shape.unknown_rank()) return;
  const int at = NormalizeAxis(*axis, shape.rank(), c.op());
  const int64_t n = c.num_outputs();
  if (shape[at] >= 0 && shape[at] % n != 0) {
    throw InvalidArgumentError("[Split] dimension {} of shape {} does not split into {} equal "
                               "parts",
                               at, shape.ToString(), n);
  }
  SetPieces(c, shape, at, std::vector<int64_t>(n, shape[at] < 0 ? -1 : shape[at] / n));
}

void SplitVShape(InferenceContext& c) {
  c.RequireRank(1, 1, "size_splits");
  const auto sizes = c.constant_ints(1);
  const auto axis = ops::ConstantInt(c, 2);
  const Shape& shape = c.shape(0);
  if (sizes && static_cast<int>(sizes->size()) != c.num_outputs()) {
    throw InvalidArgumentError("[SplitV] {} sizes for {} outputs", sizes->size(),
                               c.num_outputs());
  }
  if (!axis || shape.unknown_rank()) return;
  const int at = NormalizeAxis(*axis, shape.rank(), c.op());
  SetPieces(c, shape, at,
            sizes ? FillSizes(*sizes, shape[at], c.op())
                  : std::vector<int64_t>(c.num_outputs(), Shape::kUnknownDim));
}

std::unique_ptr<Kernel> MakeSplit(PrepareContext& c) {
  const bool equal = c.op() == "Split";
  const int value = equal ? 1 : 0;
  const Shape& in = c.in_shape(value);
  const int axis = NormalizeAxis(c.constant_ints(equal ? 0 : 2)[0], in.rank(), c.op());
  const auto strides = in.Strides();
  if (c.num_outputs() == 1) {
    c.forward(0, value);
    return nullptr;
  }
  std::vector<StridedCopy> copies;
  int64_t offset = 0;
  for (int i = 0; i < c.num_outputs(); ++i) {
    const Shape& out = c.out_shape(i);
    copies.emplace_back(c.in_dtype(value), out.dims(), strides, out.Strides(),
                        offset * strides[axis]);
    offset += out[axis];
  }
  return MakeKernel([copies, value](const LaunchArgs& args) {
    for (size_t i = 0; i < copies.size(); ++i) copies[i](args.in[value], args.out[i]);
  });
}

Tensor Join(const GradContext& g, const Tensor& axis) {
  std::vector<Tensor> inputs;
  for (int i = 0; i < g.num_outputs(); ++i) inputs.push_back(g.grad(i));
  inputs.push_back(axis);
  return Execute1("ConcatV2", inputs);
}

}  // namespace

REGISTER_OP("Split")
    .Input("split_dim: int32")
    .Input("value: T")
    .Output("output: num_split * T")
    .Attr("num_split: int >= 1")
    .Attr("T: type")
    .Shape(SplitShape)
    .Gradient([](const GradContext& g) -> Grads { return {{}, Join(g, g.input(0))}; })
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6, 7, 8}, {2, 4});
      return std::vector<OpSample>{{{Tensor(1), x}, {{"num_split", 2}}},
                                   {{Tensor(0), x}, {{"num_split", 2}}},
                                   {{Tensor(0), x}, {{"num_split", 1}}}};
    });
REGISTER_KERNEL("Split", DeviceType::kCpu, {}, MakeSplit);

REGISTER_OP("SplitV")
    .Input("value: T")
    .Input("size_splits: Tlen")
    .Input("split_dim: int32")
    .Output("output: num_split * T")
    .Attr("num_split: int >= 1")
    .Attr("T: type")
    .Attr("Tlen: {int32, int64} = int64")
    .Shape(SplitVShape)
    .Gradient([](const GradContext& g) -> Grads { return {Join(g, g.input(2)), {}, {}}; })
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6, 7, 8}, {2, 4});
      return std::vector<OpSample>{
          {{x, Tensor::FromVector<int64_t>({1, -1}), Tensor(1)}, {{"num_split", 2}}},
          {{x, Tensor::FromVector<int32_t>({0, 2, 0}), Tensor(0)}, {{"num_split", 3}}}};
    });
REGISTER_KERNEL("SplitV", DeviceType::kCpu, {}, MakeSplit);

namespace ops {

std::vector<Tensor> Split(const Tensor& value, int64_t num_split, int64_t axis) {
  return Execute("Split", {Tensor(static_cast<int32_t>(axis)), value},
                 {{"num_split", num_split}});
}

std::vector<Tensor> SplitV(const Tensor& value, const IntList& sizes, int64_t axis) {
  const tributary::Shape& shape = sizes.tensor().shape();
  if (shape.rank() != 1 || shape[0] < 1) {
    throw InvalidArgumentError("[SplitV] sizes must be a vector of known length, got shape {}",
                               shape.ToString());
  }
  return Execute("SplitV", {value, sizes.tensor(), Tensor(static_cast<int32_t>(axis))},
                 {{"num_split", shape[0]}});
}

}  // namespace ops
}  // namespace tributary

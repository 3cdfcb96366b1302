// Pad, PadV2: surrounds a tensor with zeros or a constant.

#include "core/base/checked.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/constant_value.h"
#include "ops/array/shape_rules.h"
#include "ops/array/strided_copy.h"
#include "ops/array_ops.h"
#include "ops/math/number.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

void PadShape(InferenceContext& c) {
  const Shape& shape = c.shape(0);
  c.RequireRank(1, 2, "paddings");
  const Shape& table = c.shape(1);
  if (!table.unknown_rank()) ops::MergeDims(c, table[1], 2, "columns of paddings");
  if (shape.unknown_rank()) return c.set_output(0, Shape::UnknownRank());
  if (!table.unknown_rank()) ops::MergeDims(c, table[0], shape.rank(), "rows of paddings and rank");
  const auto paddings = c.constant_ints(1);
  Shape result = shape;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!paddings) {
      result.set_dim(i, Shape::kUnknownDim);
      continue;
    }
    const int64_t before = (*paddings)[2 * i], after = (*paddings)[2 * i + 1];
    if (before < 0 || after < 0) {
      throw InvalidArgumentError("[{}] paddings must not be negative, got ({}, {})", c.op(),
                                 before, after);
    }
    if (shape[i] >= 0) {
      result.set_dim(i, CheckedAdd(shape[i], CheckedAdd(before, after, "Pad"), "Pad"));
    }
  }
  c.set_output(0, result);
}

std::unique_ptr<Kernel> MakePad(PrepareContext& c) {
  const auto paddings = c.constant_ints(1);
  const Shape& in = c.in_shape(0);
  const Shape& out = c.out_shape(0);
  const auto out_strides = out.Strides();
  int64_t offset = 0;
  for (int i = 0; i < in.rank(); ++i) offset += paddings[2 * i] * out_strides[i];
  const StridedCopy copy(c.in_dtype(0), in.dims(), in.Strides(), out_strides, 0, offset);
  const int64_t count = out.NumElements();
  const bool has_value = c.num_inputs() == 3;
  return DispatchPlain(c.in_dtype(0), c.op().c_str(), [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([=](const LaunchArgs& args) {
      std::fill_n(static_cast<T*>(args.out[0]), count,
                  has_value ? *static_cast<const T*>(args.in[2]) : T{});
      copy(args.in[0], args.out[0]);
    }));
  });
}

// What the padding had surrounded.
Tensor Inner(const GradContext& g) {
  const Tensor& x = g.input(0);
  if (const auto paddings = ops::ConstantInts(g.input(1));
      paddings && x.shape().IsFullyDefined()) {
    std::vector<int64_t> begin;
    for (size_t i = 0; i < paddings->size(); i += 2) begin.push_back((*paddings)[i]);
    return ops::Slice(g.grad(), begin, x.shape());
  }
  const Tensor begin = ops::Unpack(g.input(1), 1, 2)[0];
  return ops::Slice(g.grad(), begin, ops::ShapeOf(x, g.input(1).dtype()));
}

std::vector<Tensor> PadInputs() {
  return {Tensor::FromVector<double>({1, 2, 3, 4}, {2, 2}),
          Tensor::FromVector<int32_t>({1, 0, 0, 2}, {2, 2})};
}

}  // namespace

REGISTER_OP("Pad")
    .Input("input: T")
    .Input("paddings: Tpaddings")
    .Output("output: T")
    .Attr("T: type")
    .Attr("Tpaddings: {int32, int64} = int32")
    .Shape(PadShape)
    .Gradient([](const GradContext& g) -> Grads { return {Inner(g), {}}; })
    .Samples([] { return std::vector<OpSample>{{PadInputs()}}; });
REGISTER_KERNEL("Pad", DeviceType::kCpu, {}, MakePad);

REGISTER_OP("PadV2")
    .Input("input: T")
    .Input("paddings: Tpaddings")
    .Input("constant_values: T")
    .Output("output: T")
    .Attr("T: type")
    .Attr("Tpaddings: {int32, int64} = int32")
    .Shape([](InferenceContext& c) {
      ops::RequireScalar(c, 2, "constant_values");
      PadShape(c);
    })
    .Gradient([](const GradContext& g) -> Grads {
      const Tensor inner = Inner(g);
      return {inner, {}, ops::Sub(ops::Sum(g.grad()), ops::Sum(inner))};
    })
    .Samples([] {
      std::vector<Tensor> inputs = PadInputs();
      inputs.push_back(Tensor(7.0));
      return std::vector<OpSample>{{inputs}};
    });
REGISTER_KERNEL("PadV2", DeviceType::kCpu, {}, MakePad);

namespace ops {

Tensor Pad(const Tensor& input, const Tensor& paddings) {
  return Execute1("Pad", {input, paddings});
}

Tensor PadV2(const Tensor& input, const Tensor& paddings, const Tensor& constant_value) {
  return Execute1("PadV2", {input, paddings, constant_value});
}

}  // namespace ops
}  // namespace tributary

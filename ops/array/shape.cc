// Shape, Size, Rank: what is known of a tensor, as tensors.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"

namespace tributary {
namespace {

std::vector<OpSample> ShapeSamples() {
  return {{{Tensor::Zeros(DType::kFloat32, {2, 3})}},
          {{Tensor::Zeros(DType::kInt32, {0, 4})}},
          {{Tensor(1.0f)}}};
}

template <typename T>
std::unique_ptr<Kernel> WriteInts(const std::vector<int64_t>& values) {
  return MakeKernel([values](const LaunchArgs& args) {
    std::copy(values.begin(), values.end(), static_cast<T*>(args.out[0]));
  });
}

std::unique_ptr<Kernel> WriteInts(PrepareContext& c, const std::vector<int64_t>& values) {
  return c.out_dtype(0) == DType::kInt64 ? WriteInts<int64_t>(values)
                                         : WriteInts<int32_t>(values);
}

}  // namespace

REGISTER_OP("Shape")
    .Input("input: T")
    .Output("output: out_type")
    .Attr("T: type")
    .Attr("out_type: {int32, int64} = int32")
    .Shape([](InferenceContext& c) {
      const Shape& shape = c.shape(0);
      c.set_output(0, Shape{shape.unknown_rank() ? Shape::kUnknownDim : shape.rank()});
    })
    .NotDifferentiable()
    .ShapeOnly()
    .Samples(ShapeSamples);
REGISTER_KERNEL("Shape", DeviceType::kCpu, {},
                [](PrepareContext& c) { return WriteInts(c, c.in_shape(0).dims()); });

REGISTER_OP("Size")
    .Input("input: T")
    .Output("output: out_type")
    .Attr("T: type")
    .Attr("out_type: {int32, int64} = int32")
    .Shape(ops::ScalarShape)
    .NotDifferentiable()
    .ShapeOnly()
    .Samples(ShapeSamples);
REGISTER_KERNEL("Size", DeviceType::kCpu, {},
                [](PrepareContext& c) { return WriteInts(c, {c.in_shape(0).NumElements()}); });

REGISTER_OP("Rank")
    .Input("input: T")
    .Output("output: int32")
    .Attr("T: type")
    .Shape(ops::ScalarShape)
    .NotDifferentiable()
    .ShapeOnly()
    .Samples(ShapeSamples);
REGISTER_KERNEL("Rank", DeviceType::kCpu, {},
                [](PrepareContext& c) { return WriteInts(c, {c.in_shape(0).rank()}); });

namespace ops {
namespace {

Tensor IntTensor(const std::vector<int64_t>& values, const Shape& shape, DType dtype) {
  if (dtype == DType::kInt64) return Tensor::FromVector(values, shape);
  return Tensor::FromVector(std::vector<int32_t>(values.begin(), values.end()), shape);
}

}  // namespace

Tensor ShapeOf(const Tensor& input, DType out_type) {
  const Shape& shape = input.shape();
  if (shape.IsFullyDefined() && input.dtype() != DType::kResource) {
    return IntTensor(shape.dims(), Shape{shape.rank()}, out_type);
  }
  return Execute1("Shape", {input}, {{"out_type", out_type}});
}

Tensor SizeOf(const Tensor& input, DType out_type) {
  if (input.shape().IsFullyDefined() && input.dtype() != DType::kResource) {
    return IntTensor({input.shape().NumElements()}, {}, out_type);
  }
  return Execute1("Size", {input}, {{"out_type", out_type}});
}

Tensor RankOf(const Tensor& input) { return Execute1("Rank", {input}); }

}  // namespace ops
}  // namespace tributary

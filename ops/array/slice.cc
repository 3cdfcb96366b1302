// Slice: a box of a tensor.

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

[[noreturn]] void ThrowOutside(int axis, int64_t begin, int64_t size, int64_t dim) {
  throw InvalidArgumentError("[Slice] [{}, {} + {}) is not inside dimension {} of size {}",
                             begin, begin, size, axis, dim);
}

void SliceShape(InferenceContext& c) {
  const Shape& shape = c.shape(0);
  c.RequireRank(1, 1, "begin");
  c.RequireRank(2, 1, "size");
  const auto begin = c.constant_ints(1);
  const auto size = c.constant_ints(2);
  if (shape.unknown_rank()) return;
  for (int i : {1, 2}) {
    if (!c.shape(i).unknown_rank()) {
      ops::MergeDims(c, c.shape(i)[0], shape.rank(), "rank and the length of begin and size");
    }
  }
  Shape result = shape;
  for (int i = 0; i < shape.rank(); ++i) {
    int64_t n = size ? (*size)[i] : Shape::kUnknownDim;
    if (n < -1) throw InvalidArgumentError("[Slice] size {} is negative", n);
    const int64_t b = begin ? (*begin)[i] : 0;
    if (b < 0) throw InvalidArgumentError("[Slice] begin {} is negative", b);
    if (n == -1 && begin && size && shape[i] >= 0) n = shape[i] - b;
    if (shape[i] >= 0 && (b > shape[i] || n < -1 || n > shape[i] - b)) {
      ThrowOutside(i, b, n, shape[i]);
    }
    result.set_dim(i, n);
  }
  c.set_output(0, result);
}

// `begin` may be computed while running; the size never is.
std::unique_ptr<Kernel> MakeSlice(PrepareContext& c) {
  const Shape& in = c.in_shape(0);
  const Shape& out = c.out_shape(0);
  const auto strides = in.Strides();
  if (c.constant(1)) {
    if (in == out) {
      c.forward(0, 0);
      return nullptr;
    }
    int64_t offset = 0;
    const auto begin = c.constant_ints(1);
    for (int i = 0; i < in.rank(); ++i) offset += begin[i] * strides[i];
    const StridedCopy copy(c.in_dtype(0), out.dims(), strides, out.Strides(), offset);
    return MakeKernel([copy](const LaunchArgs& args) { copy(args.in[0], args.out[0]); });
  }
  const StridedCopy copy(c.in_dtype(0), out.dims(), strides, out.Strides());
  const size_t element = DTypeSize(c.in_dtype(0));
  return DispatchIndex(c.in_dtype(1), "Slice", [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([=](const LaunchArgs& args) {
      const T* begin = static_cast<const T*>(args.in[1]);
      int64_t offset = 0;
      for (int i = 0; i < in.rank(); ++i) {
        if (begin[i] < 0 || begin[i] > in[i] - out[i]) ThrowOutside(i, begin[i], out[i], in[i]);
        offset += begin[i] * strides[i];
      }
      copy(static_cast<const char*>(args.in[0]) + offset * element, args.out[0]);
    }));
  });
}

Grads SliceGradient(const GradContext& g) {
  const Shape& x = g.input(0).shape();
  const Shape& dy = g.grad().shape();
  if (const auto begin = ops::ConstantInts(g.input(1));
      begin && x.IsFullyDefined() && dy.IsFullyDefined()) {
    std::vector<int32_t> paddings;
    for (int i = 0; i < x.rank(); ++i) {
      const int64_t before = (*begin)[i];
      paddings.push_back(static_cast<int32_t>(before));
      paddings.push_back(static_cast<int32_t>(x[i] - dy[i] - before));
    }
    return {ops::Pad(g.grad(), Tensor::FromVector(paddings, {x.rank(), 2})), {}, {}};
  }
  const DType index = g.input(1).dtype();
  const Tensor after = ops::Sub(
      ops::Sub(ops::ShapeOf(g.input(0), index), ops::ShapeOf(g.grad(), index)), g.input(1));
  return {ops::Pad(g.grad(), ops::Pack({g.input(1), after}, 1)), {}, {}};
}

}  // namespace

REGISTER_OP("Slice")
    .Input("input: T")
    .Input("begin: Index")
    .Input("size: Index")
    .Output("output: T")
    .Attr("T: type")
    .Attr("Index: {int32, int64}")
    .Shape(SliceShape)
    .Gradient(SliceGradient)
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6}, {2, 3});
      return std::vector<OpSample>{
          {{x, Tensor::FromVector<int32_t>({0, 1}), Tensor::FromVector<int32_t>({2, 1})}},
          {{x, Tensor::FromVector<int64_t>({1, 0}), Tensor::FromVector<int64_t>({-1, 2})}},
          {{x, Tensor::FromVector<int32_t>({2, 0}), Tensor::FromVector<int32_t>({0, 3})}}};
    });
REGISTER_KERNEL("Slice", DeviceType::kCpu, {}, MakeSlice);

namespace ops {

Tensor Slice(const Tensor& input, const IntList& begin, const IntList& size) {
  return Execute1("Slice", {input, begin.tensor(), size.tensor()});
}

}  // namespace ops
}  // namespace tributary

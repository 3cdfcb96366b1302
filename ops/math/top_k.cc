// TopKV2: the k largest elements of every row, and where they are.

#include <numeric>

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/number.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

void TopKShape(InferenceContext& c) {
  const Shape& shape = c.shape(0);
  ops::RequireScalar(c, 1, "k");
  const auto k = ops::ConstantInt(c, 1);
  if (k && *k < 0) throw InvalidArgumentError("[TopKV2] k is {}, must not be negative", *k);
  if (shape.unknown_rank()) return;
  if (shape.rank() < 1) throw InvalidArgumentError("[TopKV2] needs at least one dimension");
  const int last = shape.rank() - 1;
  if (k && shape[last] >= 0 && *k > shape[last]) {
    throw InvalidArgumentError("[TopKV2] k is {}, the rows of shape {} have {} elements", *k,
                               shape.ToString(), shape[last]);
  }
  Shape result = shape;
  result.set_dim(last, k ? *k : Shape::kUnknownDim);
  for (int i = 0; i < 2; ++i) c.set_output(i, result);
}

// `order`: scratch for n positions.
template <typename T>
void TopKOfRow(const T* x, int64_t n, int64_t k, int32_t* order, T* values, int32_t* indices) {
  std::iota(order, order + n, 0);
  std::partial_sort(order, order + k, order + n, [x](int32_t a, int32_t b) {
    const auto va = Load(x[a]), vb = Load(x[b]);
    // NaN sorts first, so that the order is total.
    const bool na = va != va, nb = vb != vb;
    if (na || nb) return na != nb ? na : a < b;
    return va != vb ? va > vb : a < b;
  });
  for (int64_t i = 0; i < k; ++i) {
    values[i] = x[order[i]];
    indices[i] = order[i];
  }
}

std::unique_ptr<Kernel> MakeTopK(PrepareContext& c) {
  const Shape& shape = c.in_shape(0);
  const int64_t n = shape[shape.rank() - 1];
  const int64_t k = c.out_shape(0)[shape.rank() - 1];
  const int64_t rows = n ? shape.NumElements() / n : 0;
  c.set_scratch_bytes(n * sizeof(int32_t));
  return DispatchNumber(c.in_dtype(0), "TopKV2", [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([=](const LaunchArgs& args) {
      for (int64_t r = 0; r < rows; ++r) {
        TopKOfRow(static_cast<const T*>(args.in[0]) + r * n, n, k,
                  static_cast<int32_t*>(args.scratch), static_cast<T*>(args.out[0]) + r * k,
                  static_cast<int32_t*>(args.out[1]) + r * k);
      }
    }));
  });
}

// dy goes back to where the values came from.
Grads TopKGradient(const GradContext& g) {
  const Tensor& x = g.input(0);
  const int64_t n = x.shape().unknown_rank() ? -1 : x.dim(-1);
  if (n < 0) throw UnimplementedError("[TopKV2] the gradient needs a known last dimension");
  if (n == 0 || g.output(1).dim(-1) == 0) return {ops::ZerosLike(x), {}};
  const Tensor size = ops::SizeOf(x);
  const Tensor width(static_cast<int32_t>(n));
  const Tensor starts = ops::Mul(ops::Range(Tensor(0), ops::FloorDiv(size, width), Tensor(1)), width);
  const Tensor rows = ops::Reshape(g.output(1), {-1, g.output(1).dim(-1)});
  const Tensor flat = ops::Add(rows, ops::Reshape(starts, {-1, 1}));
  const Tensor sums = ops::UnsortedSegmentSum(ops::Reshape(g.grad(), {-1}),
                                              ops::Reshape(flat, {-1}), size);
  return {ops::ReshapeLike(sums, x), {}};
}

}  // namespace

REGISTER_OP("TopKV2")
    .Input("input: T")
    .Input("k: Tk")
    .Output("values: T")
    .Output("indices: index_type")
    .Attr("sorted: bool = true")
    .Attr("T: {float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8}")
    .Attr("Tk: {int32, int64} = int32")
    .Attr("index_type: {int32} = int32")
    .Shape(TopKShape)
    .Gradient(TopKGradient)
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 5, 3, 7, 2, 4, -1, 0, 9, 6}, {2, 5});
      return std::vector<OpSample>{{{x, Tensor(2)}}, {{x, Tensor(5)}}, {{x, Tensor(0)}},
                                   {{Tensor::FromVector<int32_t>({3, 3, 1}), Tensor(2)}}};
    });
REGISTER_KERNEL("TopKV2", DeviceType::kCpu, NumberTypes(), MakeTopK);

namespace ops {

std::vector<Tensor> TopK(const Tensor& input, int64_t k, bool sorted) {
  return Execute("TopKV2", {input, Tensor(static_cast<int32_t>(k))}, {{"sorted", sorted}});
}

}  // namespace ops
}  // namespace tributary

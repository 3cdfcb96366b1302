// UnsortedSegmentSum: sums rows that share a segment id.

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/gather_rows.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math/number.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

void SegmentShape(InferenceContext& c) {
  const Shape& data = c.shape(0);
  const Shape& ids = c.shape(1);
  ops::RequireScalar(c, 2, "num_segments");
  if (data.unknown_rank() || ids.unknown_rank()) return;
  if (ids.rank() > data.rank()) {
    throw InvalidArgumentError("[UnsortedSegmentSum] segment_ids {} must be a prefix of data {}",
                               ids.ToString(), data.ToString());
  }
  for (int i = 0; i < ids.rank(); ++i) {
    ops::MergeDims(c, data[i], ids[i], "leading dimensions of data and segment_ids");
  }
  const auto count = ops::ConstantInt(c, 2);
  if (count && *count < 0) {
    throw InvalidArgumentError("[UnsortedSegmentSum] num_segments {} is negative", *count);
  }
  Shape result{count ? *count : Shape::kUnknownDim};
  for (int i = ids.rank(); i < data.rank(); ++i) result.AddDim(data[i]);
  c.set_output(0, result);
}

// Every range of segments is summed by one thread in the order of the rows.
template <typename T, typename Index>
void SumSegments(const T* data, const Index* ids, int64_t n, int64_t segments, int64_t row,
                 T* out) {
  for (int64_t i = 0; i < n; ++i) {
    if (ids[i] >= segments) ThrowIndexOutOfRange("UnsortedSegmentSum", i, ids[i], segments);
  }
  const int64_t grain = 1 + (1 << 15) / std::max<int64_t>(1, row + n * row / (segments + 1));
  ParallelFor(segments, grain, [=](int64_t begin, int64_t end) {
    std::fill(out + begin * row, out + end * row, T(0));
    for (int64_t i = 0; i < n; ++i) {
      if (ids[i] < begin || ids[i] >= end) continue;
      T* to = out + ids[i] * row;
      const T* from = data + i * row;
      for (int64_t k = 0; k < row; ++k) to[k] = Add(to[k], from[k]);
    }
  });
}

std::unique_ptr<Kernel> MakeSegmentSum(PrepareContext& c) {
  const int64_t n = c.in_shape(1).NumElements();
  const int64_t segments = c.out_shape(0)[0];
  const int64_t row = segments ? c.out_shape(0).NumElements() / segments : 0;
  return DispatchNumber(c.in_dtype(0), "UnsortedSegmentSum", [&](auto t) {
    return DispatchIndex(c.in_dtype(1), "UnsortedSegmentSum", [&](auto i) {
      using T = decltype(t);
      using Index = decltype(i);
      return std::unique_ptr<Kernel>(MakeKernel([=](const LaunchArgs& args) {
        SumSegments(static_cast<const T*>(args.in[0]), static_cast<const Index*>(args.in[1]), n,
                    segments, row, static_cast<T*>(args.out[0]));
      }));
    });
  });
}

Grads SegmentSumGradient(const GradContext& g) {
  const Tensor& ids = g.input(1);
  const Tensor zero = ops::ScalarLike(ids, 0);
  const Tensor rows = ops::Gather(g.grad(), ops::Maximum(ids, zero));
  Tensor kept = ops::GreaterEqual(ids, zero);
  for (int i = ids.rank(); i < g.input(0).rank(); ++i) kept = ops::ExpandDims(kept, -1);
  return {ops::Select(kept, rows, ops::ScalarLike(rows, 0)), {}, {}};
}

}  // namespace

REGISTER_OP("UnsortedSegmentSum")
    .Input("data: T")
    .Input("segment_ids: Tindices")
    .Input("num_segments: Tnumsegments")
    .Output("output: T")
    .Attr("T: type")
    .Attr("Tindices: {int32, int64}")
    .Attr("Tnumsegments: {int32, int64} = int32")
    .Shape(SegmentShape)
    .Gradient(SegmentSumGradient)
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6, 7, 8}, {4, 2});
      return std::vector<OpSample>{
          {{x, Tensor::FromVector<int32_t>({2, 0, 2, -1}), Tensor(4)}},
          {{x, Tensor::FromVector<int64_t>({0, 1, 0, 1, 1, 1, 0, 0}, {4, 2}), Tensor(3)}}};
    });
REGISTER_KERNEL("UnsortedSegmentSum", DeviceType::kCpu, NumberTypes(), MakeSegmentSum);

namespace ops {

Tensor UnsortedSegmentSum(const Tensor& data, const Tensor& segment_ids,
                          const Tensor& num_segments) {
  return Execute1("UnsortedSegmentSum", {data, segment_ids, num_segments});
}

}  // namespace ops
}  // namespace tributary

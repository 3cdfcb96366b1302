#include "ops/math/broadcast.h"

namespace tributary {

Broadcast::Broadcast(const Shape& result, const std::vector<Shape>& shapes)
    : operands(static_cast<int>(shapes.size())) {
  struct Dim {
    int64_t size;
    std::array<bool, kMaxOperands> dense{};
    bool operator==(const Dim&) const = default;
  };
  std::vector<Dim> merged;
  for (int i = 0; i < result.rank(); ++i) {
    if (result[i] == 1) continue;
    Dim dim{result[i]};
    for (int k = 0; k < operands; ++k) {
      const int at = i - (result.rank() - shapes[k].rank());
      dim.dense[k] = at >= 0 && shapes[k][at] != 1;
    }
    if (!merged.empty() && merged.back().dense == dim.dense) {
      merged.back().size *= dim.size;
    } else {
      merged.push_back(dim);
    }
  }
  if (merged.empty()) {
    // Everything has one element.
    std::fill(dense, dense + operands, true);
    return;
  }
  inner = merged.back().size;
  std::copy_n(merged.back().dense.begin(), operands, dense);
  merged.pop_back();
  rank = static_cast<int>(merged.size());
  if (rank > kMaxDims) {
    throw UnimplementedError("[broadcast] more than {} dimensions in {}", kMaxDims,
                             result.ToString());
  }
  int64_t step[kMaxOperands];
  for (int k = 0; k < operands; ++k) step[k] = dense[k] ? inner : 1;
  for (int d = rank - 1; d >= 0; --d) {
    sizes[d] = merged[d].size;
    outer *= sizes[d];
    for (int k = 0; k < operands; ++k) {
      strides[d][k] = merged[d].dense[k] ? step[k] : 0;
      if (merged[d].dense[k]) step[k] *= sizes[d];
    }
  }
}

std::unique_ptr<Kernel> MakeBroadcastKernel(PrepareContext& c, const simd::BinaryFns& loops) {
  const Shape& result = c.out_shape(0);
  const size_t element = DTypeSize(c.in_dtype(0));
  const size_t out_element = DTypeSize(c.out_dtype(0));
  for (int i = 0; i < 2; ++i) {
    if (c.in_shape(i) == result && element == out_element) c.allow_in_place(0, i);
  }
  const Broadcast broadcast(result, {c.in_shape(0), c.in_shape(1)});
  const simd::BinaryFn loop = broadcast.dense[0] && broadcast.dense[1] ? loops.vector_vector
                            : broadcast.dense[0]                      ? loops.vector_scalar
                                                                      : loops.scalar_vector;
  constexpr int64_t kGrain = 1 << 15;
  if (broadcast.outer == 1 && broadcast.inner <= kGrain) {
    const int64_t count = broadcast.inner;
    return MakeKernel([loop, count](const LaunchArgs& args) {
      loop(args.in[0], args.in[1], args.out[0], count);
    });
  }
  return MakeKernel([=](const LaunchArgs& args) {
    const char* a = static_cast<const char*>(args.in[0]);
    const char* b = static_cast<const char*>(args.in[1]);
    char* y = static_cast<char*>(args.out[0]);
    ForEachRun(broadcast, kGrain, [=](const int64_t* from, int64_t at, int64_t n) {
      loop(a + from[0] * element, b + from[1] * element, y + at * out_element, n);
    });
  });
}

void BroadcastShape(InferenceContext& c) {
  c.set_output(0, BroadcastShapes(c.shape(0), c.shape(1), c.op()));
}

}  // namespace tributary

#pragma once
// How several operands are walked to fill one broadcast result, worked out once.

#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/tensor/shape.h"
#include "ops/simd/float_loops.h"

namespace tributary {

// The result is cut into runs along its innermost (merged) dimension; in a run every
// operand is either dense or one value.
struct Broadcast {
  static constexpr int kMaxOperands = 3;
  static constexpr int kMaxDims = 12;

  // Throws UnimplementedError when more than 12 dimensions can't be merged.
  Broadcast(const Shape& result, const std::vector<Shape>& operands);

  int operands = 0;
  int rank = 0;                              // of the outer dimensions
  int64_t sizes[kMaxDims] = {};              // outer
  int64_t strides[kMaxDims][kMaxOperands] = {};
  int64_t outer = 1;                         // product of sizes
  int64_t inner = 1;                         // length of a run
  bool dense[kMaxOperands] = {};             // in a run
};

// Calls run(offsets, at, n) for pieces of the result: n elements from element `at`,
// where operand k starts at element offsets[k]. In parallel when the result is larger
// than `grain`.
template <typename Run>
void ForEachRun(const Broadcast& b, int64_t grain, const Run& run) {
  if (b.outer == 1) {
    ParallelFor(b.inner, grain, [&](int64_t begin, int64_t end) {
      int64_t from[Broadcast::kMaxOperands];
      for (int k = 0; k < b.operands; ++k) from[k] = b.dense[k] ? begin : 0;
      run(from, begin, end - begin);
    });
    return;
  }
  if (b.inner == 0) return;
  ParallelFor(b.outer, std::max<int64_t>(1, grain / b.inner), [&](int64_t begin, int64_t end) {
    int64_t from[Broadcast::kMaxOperands] = {};
    int64_t index[Broadcast::kMaxDims];
    int64_t rest = begin;
    for (int d = b.rank - 1; d >= 0; --d) {
      index[d] = rest % b.sizes[d];
      rest /= b.sizes[d];
      for (int k = 0; k < b.operands; ++k) from[k] += index[d] * b.strides[d][k];
    }
    for (int64_t i = begin; i < end; ++i) {
      run(from, i * b.inner, b.inner);
      for (int d = b.rank - 1; d >= 0; --d) {
        for (int k = 0; k < b.operands; ++k) from[k] += b.strides[d][k];
        if (++index[d] < b.sizes[d]) break;
        for (int k = 0; k < b.operands; ++k) from[k] -= b.sizes[d] * b.strides[d][k];
        index[d] = 0;
      }
    }
  });
}

// The kernel of a broadcasting op with two inputs.
std::unique_ptr<Kernel> MakeBroadcastKernel(PrepareContext& c, const simd::BinaryFns& loops);

// The shape rule of such an op.
void BroadcastShape(InferenceContext& c);

}  // namespace tributary

#include "distribute/comm/reduce_kernels.h"

#include <gtest/gtest.h>

#include <numeric>

#include "distribute/comm/slices.h"

namespace tributary {
namespace {

TEST(SliceOf, CoversTheBufferInWholeCacheLines) {
  for (const int64_t count : {0, 1, 15, 16, 17, 100, 101'770}) {
    for (int size = 1; size <= 9; ++size) {
      int64_t at = 0, longest = 0;
      for (int r = 0; r < size; ++r) {
        const Slice slice = SliceOf(count, sizeof(float), size, r);
        EXPECT_EQ(slice.begin, at);
        if (slice.count > 0) {
          EXPECT_EQ(slice.begin % 16, 0);
        }
        at = slice.end();
        longest = std::max(longest, slice.count);
      }
      EXPECT_EQ(at, count);
      EXPECT_LE(longest, (count / 16 / size + 1) * 16 + 16);
    }
  }
}

// Any number of sources gives the plain left-to-right loop, bit for bit, also
// when the target is one of the sources.
TEST(ReduceSources, FoldsFromTheLeftForAnyNumberOfSources) {
  for (int n = 1; n <= 20; ++n) {
    for (const int64_t count : {1, 7, 1031, 2500}) {
      std::vector<std::vector<float>> inputs(n, std::vector<float>(count));
      for (int s = 0; s < n; ++s) {
        for (int64_t i = 0; i < count; ++i) inputs[s][i] = 1.0f / (3 + (i * 31 + s * 17) % 89);
      }
      std::vector<float> expected = inputs[0];
      for (int s = 1; s < n; ++s) {
        for (int64_t i = 0; i < count; ++i) expected[i] += inputs[s][i];
      }
      for (int target = 0; target < n; ++target) {
        auto copy = inputs;
        std::vector<const void*> sources;
        for (auto& input : copy) sources.push_back(input.data());
        ReduceSources(DType::kFloat32, ReduceOp::kSum, copy[target].data(), sources.data(), n,
                      count);
        EXPECT_EQ(copy[target], expected) << n << " sources, target " << target;
      }
    }
  }
}

TEST(ReduceSources, MeanDividesOnceAtTheEnd) {
  std::vector<double> a(11, 1.0), b(11, 2.0), out(11);
  const void* sources[] = {a.data(), b.data()};
  ReduceSources(DType::kFloat64, ReduceOp::kMean, out.data(), sources, 2, 11, 2);
  EXPECT_EQ(out, std::vector<double>(11, 1.5));
}

TEST(ReduceSources, RefusesHalf) {
  uint16_t value = 0;
  const void* source = &value;
  EXPECT_THROW(ReduceSources(DType::kHalf, ReduceOp::kSum, &value, &source, 1, 1),
               UnimplementedError);
}

}  // namespace
}  // namespace tributary

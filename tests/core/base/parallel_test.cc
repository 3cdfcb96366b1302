#include "core/base/parallel.h"

namespace tributary {
namespace {

class ParallelTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    before_ = NumThreads();
    SetNumThreads(GetParam());
  }
  void TearDown() override { SetNumThreads(before_); }
  int before_ = 1;
};

TEST_P(ParallelTest, CoversEveryIndexOnce) {
  for (const int64_t count : {0, 1, 7, 1000, 4097}) {
    std::vector<std::atomic<int>> seen(count);
    ParallelFor(count, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++seen[i];
    });
    for (const auto& n : seen) ASSERT_EQ(n, 1);
  }
}

TEST_P(ParallelTest, RethrowsTheExceptionOfARange) {
  EXPECT_THROW(ParallelFor(1000, 1,
                           [](int64_t begin, int64_t) {
                             if (begin == 0) throw std::runtime_error("range");
                           }),
               std::runtime_error);
}

INSTANTIATE_TEST_SUITE_P(Threads, ParallelTest, testing::Values(1, 2, 3));

}  // namespace
}  // namespace tributary

#include "core/base/parallel.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tributary {
namespace {

int64_t SumOfLoop(int64_t count) {
  std::atomic<int64_t> sum{0};
  ParallelFor(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sum += i;
  });
  return sum;
}

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

TEST_P(ParallelTest, EndsAllRangesBeforeItRethrows) {
  std::atomic<int> ended{0};
  EXPECT_THROW(ParallelFor(3, 1,
                           [&](int64_t begin, int64_t end) {
                             ended += static_cast<int>(end - begin);
                             throw std::runtime_error("range");
                           }),
               std::runtime_error);
  EXPECT_EQ(ended, 3);
  EXPECT_EQ(SumOfLoop(100), 4950);
}

TEST_P(ParallelTest, LoopsInsideLoopsRunInline) {
  std::atomic<int64_t> sum{0};
  ParallelFor(8, 1, [&](int64_t begin, int64_t end) {
    const auto outer = std::this_thread::get_id();
    for (int64_t i = begin; i < end; ++i) {
      ParallelFor(100, 1, [&](int64_t from, int64_t to) {
        EXPECT_EQ(std::this_thread::get_id(), outer);
        sum += to - from;
      });
    }
  });
  EXPECT_EQ(sum, 800);
}

TEST_P(ParallelTest, ThreadsThatLoopAtOnceGetTheirOwnSums) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 1; t <= 4; ++t) {
    threads.emplace_back([&wrong, t] {
      for (int i = 0; i < 2000; ++i) wrong += SumOfLoop(10 * t) != 5 * t * (10 * t - 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

#if !defined(__SANITIZE_THREAD__)  // it ends children of a process with threads
TEST_P(ParallelTest, AForkedChildHasATeamOfItsOwn) {
  ASSERT_EQ(SumOfLoop(1000), 499'500);
  const pid_t child = fork();
  if (child == 0) _exit(SumOfLoop(1000) == 499'500 ? 0 : 1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

INSTANTIATE_TEST_SUITE_P(Threads, ParallelTest, testing::Values(1, 2, 3));

// A worker that the machine does not let run: it has this thread's core and the least of
// priorities.
TEST(Parallel, ACallerDoesWhatNoWorkerHasBegun) {
  const int before = NumThreads();
  SetNumThreads(2);
  cpu_set_t mine, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof mine, &mine), 0);
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  const auto caller = std::this_thread::get_id();
  const auto loop = [&](const std::function<void()>& body) {
    ParallelFor(2, 1, [&](int64_t, int64_t) { body(); });
  };
  std::atomic<bool> tamed{false};
  while (!tamed) {
    loop([&] {
      if (std::this_thread::get_id() == caller) return;
      sched_param least{};
      sched_setscheduler(0, SCHED_IDLE, &least);
      tamed = sched_setaffinity(0, sizeof one, &one) == 0;
    });
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  std::atomic<int> by_caller{0};
  for (int i = 0; i < 200; ++i) {
    loop([&] { by_caller += std::this_thread::get_id() == caller; });
  }
  EXPECT_GT(by_caller, 200);  // its own and some of the worker's
  sched_setaffinity(0, sizeof mine, &mine);
  while (tamed) {
    loop([&] {
      if (std::this_thread::get_id() == caller) return;
      sched_param usual{};
      sched_setaffinity(0, sizeof mine, &mine);
      sched_setscheduler(0, SCHED_OTHER, &usual);  // where it may
      tamed = false;
    });
  }
  SetNumThreads(before);
}

}  // namespace
}  // namespace tributary

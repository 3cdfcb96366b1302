// On a clock of its own: which steps hang, and which are only slow.

#include "distribute/liveness/step_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class StepWatching : public testing::Test {
 protected:
  // Looks ten times a second for that long; the first complaint, or "".
  std::string Pass(double seconds, double others_wait) {
    for (int i = 0; i < static_cast<int>(seconds * 10); ++i) {
      now_ += Millis(100);
      const Millis wait(static_cast<int64_t>(others_wait * 1000));
      if (const auto stuck = watch_.Look(health_, wait, now_)) return *stuck;
    }
    return "";
  }
  // Steps that end after that long, each judged as if the others waited for all of it.
  std::string Steps(int count, double seconds) {
    for (int i = 0; i < count; ++i) {
      health_.BeginStep();
      const std::string stuck = Pass(seconds, seconds);
      health_.EndStep();
      if (!stuck.empty()) return stuck;
      Pass(0.1, 0);
    }
    return "";
  }

  JobHealth health_;
  StepWatch watch_{Millis(8000)};
  Clock::time_point now_ = Clock::now();
};

TEST_F(StepWatching, AStepThatDoesNotEndIsStuckWhenOthersWait) {
  ASSERT_EQ(Steps(5, 0.2), "");
  health_.BeginStep();
  EXPECT_EQ(Pass(7.9, 7.9), "");
  EXPECT_THAT(Pass(0.4, 8), AllOf(HasSubstr("the step after its first 5 has not moved for 8."),
                                  HasSubstr("set cluster.timeout to more seconds")));
}

TEST_F(StepWatching, NobodyWaitsNobodyHangs) {
  ASSERT_EQ(Steps(5, 0.2), "");
  health_.BeginStep();
  EXPECT_EQ(Pass(600, 0), "");
  EXPECT_THAT(Pass(0.1, 3), HasSubstr("hangs"));
}

TEST_F(StepWatching, LongStepsMayBeFiveTimesAsLong) {
  ASSERT_EQ(Steps(4, 30), "");
  EXPECT_EQ(Steps(1, 149), "");
  health_.BeginStep();
  EXPECT_EQ(Pass(700, 700), "");  // the longest was 149 s
  EXPECT_THAT(Pass(60, 700), HasSubstr("hangs"));
}

TEST_F(StepWatching, TheFirstStepsHaveTwoMinutes) {
  EXPECT_EQ(Steps(1, 115), "");
  health_.BeginStep();
  EXPECT_EQ(Pass(500, 500), "");
  health_.EndStep();
  Pass(0.1, 0);
}

TEST_F(StepWatching, SavingAndWaitingAreNoStep) {
  ASSERT_EQ(Steps(5, 0.2), "");
  EXPECT_EQ(Pass(600, 600), "");  // saves, while others wait for it
  health_.BeginStep();
  {
    const JobHealth::BlockingCall call(health_, "AllReduce", now_ + Millis(900'000));
    EXPECT_EQ(Pass(600, 600), "");
  }
  EXPECT_EQ(Pass(7.5, 600), "");
  EXPECT_THAT(Pass(1, 600), HasSubstr("hangs"));
}

TEST_F(StepWatching, TimeInWhichTheProcessWasStoppedDoesNotCount) {
  ASSERT_EQ(Steps(5, 0.2), "");
  health_.BeginStep();
  now_ += Millis(60'000);
  watch_.Forget(now_);
  EXPECT_EQ(Pass(7.5, 60), "");
}

}  // namespace
}  // namespace tributary

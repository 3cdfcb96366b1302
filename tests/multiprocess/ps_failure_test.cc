// Parameter-server jobs of real processes that are killed and stopped: what they have
// learnt is what it would have been, nobody hangs, and nobody is left over.

#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

#include "tests/multiprocess/ps_job.h"

namespace tributary {
namespace {

using SteadyClock = std::chrono::steady_clock;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kForEver = 1'000'000;  // epochs
// Servers begin their logs anew again and again.
constexpr char kManyBases[] = "--set strategy.ParameterServer.log_limit=20000";
constexpr char kImpatient[] = "--set cluster.timeout=2";

double SecondsSince(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

class PsFailure : public PsJobTest {
 protected:
  // Its state after 20 epochs of nothing but training.
  const PsState& Undisturbed() {
    if (undisturbed_.empty()) {
      PsJob job(folder_.path(), "undisturbed", {.epochs = 20});
      EXPECT_EQ(job.Run(), 0) << job.Output();
      undisturbed_ = FinalState(job.run_dir());
    }
    return undisturbed_;
  }

  // Some moment after step 100 of 1280.
  void WaitForSomeMoment(PsJob* job, std::mt19937* random) {
    ASSERT_TRUE(job->WaitForStep(100));
    std::this_thread::sleep_for(std::chrono::microseconds((*random)() % 200'000));
  }

  static bool HasBase(const PsJob& job) {
    for (const auto& file : std::filesystem::directory_iterator(job.run_dir() + "/ps")) {
      if (file.path().filename().string().find(".base-") != std::string::npos) return true;
    }
    return false;
  }

  // The launcher passes it on: a job without an end stops, and saves.
  void TellToStop(PsJob* job) {
    kill(job->launcher(), SIGUSR1);
    EXPECT_EQ(job->Wait(20), 75) << job->Output();
    EXPECT_THAT(job->Processes(), IsEmpty());
  }

  // Bit by bit; but for a worker that has died after one server had its last push and
  // before another had, which the job says.
  void ExpectUndisturbed(const PsJob& job) {
    const PsState state = FinalState(job.run_dir());
    if (job.Count("is complete on some servers and not on others") == 0) {
      EXPECT_TRUE(state == Undisturbed()) << LargestDifference(state, Undisturbed()) << "\n"
                                          << job.Output();
    } else {
      EXPECT_EQ(state.size(), Undisturbed().size());
    }
  }

  PsState undisturbed_;
};

TEST_F(PsFailure, AKilledServerOrWorkerChangesNoBit) {
  std::mt19937 random(7);
  for (const char* victim : {"ps-0", "ps-1", "worker-0", "worker-1"}) {
    SCOPED_TRACE(victim);
    PsJob job(folder_.path(), std::string("sync_") + victim, {.epochs = 20, .more = kManyBases});
    job.Start();
    WaitForSomeMoment(&job, &random);
    ASSERT_TRUE(job.WaitFor("a base", 10, [&] { return HasBase(job); }));
    job.Signal(victim, SIGKILL);
    EXPECT_EQ(job.Wait(30), 0) << job.Output();
    EXPECT_THAT(job.Output(), HasSubstr("was killed by signal 9"));
    EXPECT_THAT(job.Processes(), IsEmpty());
    ExpectUndisturbed(job);
  }
}

// No log: what came after the last checkpoint is lost, and done again by all.
TEST_F(PsFailure, WithoutALogAllGoBackTogetherAndEndWithTheSameBits) {
  std::mt19937 random(9);
  PsJob job(folder_.path(), "no_log",
            {.epochs = 20, .more = "--set strategy.ParameterServer.durability=checkpoint"});
  job.Start();
  WaitForSomeMoment(&job, &random);
  job.Signal("ps-1", SIGKILL);
  EXPECT_EQ(job.Wait(30), 0) << job.Output();
  EXPECT_THAT(job.Output(), HasSubstr("all go back to the last checkpoint"));
  ExpectUndisturbed(job);
}

TEST_F(PsFailure, AKilledServerOrWorkerDoesNotEndAnAsyncJob) {
  std::mt19937 random(8);
  PsJob job(folder_.path(), "async",
            {.consistency = "async", .epochs = kForEver, .more = kManyBases});
  job.Start();
  WaitForSomeMoment(&job, &random);
  ASSERT_TRUE(job.WaitFor("a base", 10, [&] { return HasBase(job); }));
  for (const char* victim : {"ps-1", "worker-0", "ps-0", "worker-1", "ps-0"}) {
    SCOPED_TRACE(victim);
    const pid_t before = job.PidOf(victim);
    job.Signal(victim, SIGKILL);
    ASSERT_TRUE(job.WaitFor("its next life", 10, [&] { return job.PidOf(victim) != before; }));
    ASSERT_TRUE(job.WaitForStep(job.LatestStep() + 100));
  }
  EXPECT_EQ(job.Count("was killed by signal 9"), 5);
  TellToStop(&job);
}

// --- Workers that hang -----------------------------------------------------------------------

// Seconds from now until the chief's log says so.
double SecondsUntil(PsJob* job, const std::string& text, int times = 1) {
  const auto start = SteadyClock::now();
  job->WaitForOutput(text, 20, times);
  return SecondsSince(start);
}

TEST_F(PsFailure, AStoppedWorkerIsEvictedAndComesBackAsSomebodyNew) {
  for (const char* consistency : {"async", "sync"}) {
    SCOPED_TRACE(consistency);
    // async: one worker does all of a window, so that one of those that are stopped works
    // and the other waits for its turn.
    PsJob job(folder_.path(), consistency, {.consistency = consistency, .epochs = kForEver,
                                            .more = "--set strategy.ParameterServer.lease=100"});
    job.Start();
    ASSERT_TRUE(job.WaitForStep(100));
    ASSERT_TRUE(job.WaitForOutput("works as generation", 10, 2));
    for (const std::string w : {"1", "0"}) {
      SCOPED_TRACE("worker " + w);
      job.Signal("worker-" + w, SIGSTOP);
      const double evicted = SecondsUntil(&job, "/job:worker/task:" + w + " was evicted");
      EXPECT_NEAR(evicted, 5, 1);
      ASSERT_TRUE(job.WaitForStep(job.LatestStep() + 200)) << "the others go on";
      job.Signal("worker-" + w, SIGCONT);
      ASSERT_TRUE(job.WaitForOutput("worker " + w + " begins anew", 10));
      EXPECT_THAT(job.Output(), HasSubstr("fenced"));
      ASSERT_TRUE(job.WaitForOutput("/job:worker/task:" + w + " works as generation", 10, 2));
      ASSERT_TRUE(job.WaitForStep(job.LatestStep() + 200));
      EXPECT_EQ(job.Count("/job:worker/task:" + w + " was evicted"), 1);
      if (std::string(consistency) == "sync") break;
    }
    TellToStop(&job);
  }
}

// A process that never wakes up must not keep the launcher waiting.
TEST_F(PsFailure, AJobEndsWithoutAWorkerThatStaysStopped) {
  PsJob job(folder_.path(), "asleep", {.consistency = "async", .epochs = 40, .more = kImpatient});
  job.Start();
  ASSERT_TRUE(job.WaitForStep(100));
  job.Signal("worker-0", SIGSTOP);
  EXPECT_EQ(job.Wait(40), 0) << job.Output();
  EXPECT_THAT(job.Output(), HasSubstr("was stopped when the job ended, and was killed"));
  EXPECT_THAT(job.Processes(), IsEmpty());
}

// A server that hangs is waited for, and goes on as if nothing had been.
TEST_F(PsFailure, AStoppedServerHoldsTheJobUpAndChangesNoBit) {
  PsJob job(folder_.path(), "held", {.epochs = 20, .more = kImpatient});
  job.Start();
  ASSERT_TRUE(job.WaitForStep(100));
  job.Signal("ps-1", SIGSTOP);
  ASSERT_TRUE(job.WaitForOutput("/job:ps/task:1 at", 10));
  ASSERT_TRUE(job.WaitForOutput("no heartbeat for", 10));
  job.Signal("ps-1", SIGCONT);
  EXPECT_EQ(job.Wait(30), 0) << job.Output();
  ExpectUndisturbed(job);
}

// --- Who ends the job ------------------------------------------------------------------------

TEST_F(PsFailure, WithoutItsChiefAJobEndsAndGoesOnWhenItIsStartedAgain) {
  PsJob job(folder_.path(), "headless", {.epochs = 20});
  job.Start();
  ASSERT_TRUE(job.WaitForStep(300));
  std::vector<pid_t> chief;
  for (const pid_t pid : job.Processes()) {
    if (ParentOf(pid) == job.launcher()) chief.push_back(pid);
  }
  ASSERT_EQ(chief.size(), 5u);
  kill(*std::min_element(chief.begin(), chief.end()), SIGKILL);  // rank 0 was first
  const auto start = SteadyClock::now();
  EXPECT_EQ(job.Wait(10), 137) << job.Output();
  ASSERT_TRUE(job.WaitFor("nobody left over", 10 - SecondsSince(start),
                          [&] { return job.Processes().empty(); }));
  EXPECT_EQ(job.Run(), 0) << job.Output();
  EXPECT_THAT(job.Output(), HasSubstr("resuming from"));
  ExpectUndisturbed(job);
}

TEST_F(PsFailure, AChildDiesWithItsSupervisorAndAllDieWithTheLauncher) {
  for (const char* victim : {"worker-0", "ps-1"}) {
    SCOPED_TRACE(victim);
    PsJob job(folder_.path(), std::string("supervisor_") + victim, {.epochs = kForEver});
    job.Start();
    ASSERT_TRUE(job.WaitForStep(100));
    const pid_t child = job.PidOf(victim), supervisor = ParentOf(child);
    ASSERT_EQ(ParentOf(supervisor), job.launcher());
    kill(supervisor, SIGKILL);
    EXPECT_TRUE(job.WaitFor("the child's end", 1, [&] { return !IsThere(child); }));
    EXPECT_EQ(job.Wait(10), 137) << job.Output();
    EXPECT_TRUE(job.WaitFor("nobody left over", 5, [&] { return job.Processes().empty(); }));
  }
  PsJob job(folder_.path(), "launcher", {.epochs = kForEver});
  job.Start();
  ASSERT_TRUE(job.WaitForStep(100));
  kill(job.launcher(), SIGKILL);
  EXPECT_EQ(job.Wait(5), 137);
  EXPECT_TRUE(job.WaitFor("nobody left over", 5, [&] { return job.Processes().empty(); }));
}

TEST_F(PsFailure, WhoIsKilledTooOftenEndsTheJob) {
  PsJob job(folder_.path(), "often", {.epochs = kForEver,
                                      .more = "--set strategy.ParameterServer.restarts=1"});
  job.Start();
  ASSERT_TRUE(job.WaitForStep(100));
  const pid_t first = job.PidOf("ps-0");
  job.Signal("ps-0", SIGKILL);
  ASSERT_TRUE(job.WaitFor("its second life", 10, [&] { return job.PidOf("ps-0") != first; }));
  job.Signal("ps-0", SIGKILL);
  EXPECT_EQ(job.Wait(15), 137) << job.Output();
  EXPECT_THAT(job.Output(), HasSubstr("is not started again: it has died 2 times in a row"));
  EXPECT_TRUE(job.WaitFor("nobody left over", 5, [&] { return job.Processes().empty(); }));
}

}  // namespace
}  // namespace tributary

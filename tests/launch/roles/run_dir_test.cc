#include "launch/roles/run_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/io/env.h"
#include "launch/cli/exit_codes.h"
#include "launch/roles/result.h"
#include "tests/temp_dir.h"
#include "trainer/checkpoint/checkpoint.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

JobConfig JobIn(const std::string& run_dir, int units = 4, double rate = 0.1,
                const std::string& more = "") {
  JobSources sources;
  sources.environment = false;
  return ParseJob(
      fmt::format("run_dir: {}\ndata: {{train: {{source: digits}}}}\nloss: mse\n"
                  "model: [Flatten, {{Dense: {{units: {}}}}}]\n"
                  "optimizer: {{SGD: {{learning_rate: {}}}}}\n{}",
                  run_dir, units, rate, more),
      "test.yaml", sources);
}

void PretendCheckpoint(const RunDir& dir) {
  PosixEnv()->CreateDirs(dir.checkpoints());
  CheckpointContent content;
  content.root = Trackable::Container();
  content.root->Add("w", Trackable::Variable("w", Tensor(1.0f)));
  WriteCheckpoint(PosixEnv(), dir.checkpoints() + "/ckpt-1", content);
}

TEST(RunDir, KeepsTheResolvedJob) {
  const TempDir dir("run_dir");
  const JobConfig job = JobIn(dir.path() + "/run");
  RunDir(job).Prepare(job, false);
  const JobConfig again = LoadJob(job.run_dir + "/job.yaml", {.environment = false});
  EXPECT_EQ(again.CanonicalJson(), job.CanonicalJson());
  EXPECT_TRUE(PosixEnv()->IsDirectory(job.run_dir + "/logs"));
}

TEST(RunDir, AFreshStartMovesTheOldRunAside) {
  const TempDir dir("run_dir");
  const JobConfig job = JobIn(dir.path() + "/run");
  RunDir(job).Prepare(job, false);
  PretendCheckpoint(RunDir(job));
  RunDir(job).Prepare(job, true);
  EXPECT_TRUE(PosixEnv()->Exists(job.run_dir + ".1/checkpoints/ckpt-1.index"));
  EXPECT_FALSE(PosixEnv()->Exists(RunDir(job).checkpoints()));
  RunDir(job).Prepare(job, true);
  EXPECT_TRUE(PosixEnv()->Exists(job.run_dir + ".2/job.yaml"));
}

TEST(RunDir, FilesOfOthersAreNeverMoved) {
  const TempDir dir("run_dir");
  const std::string mine = dir.Write("folder/job.yaml", "model: [Flatten]\n");
  const JobConfig job = JobIn(dir.path() + "/folder/");
  EXPECT_THROW(RunDir(job).Prepare(job, true), AlreadyExistsError);
  EXPECT_TRUE(PosixEnv()->Exists(mine));
  EXPECT_NO_THROW(RunDir(job).Prepare(job, false));  // beside them
  EXPECT_NO_THROW(RunDir(job).Prepare(job, true));   // a run now, the slash does not matter
  EXPECT_TRUE(PosixEnv()->Exists(dir.path() + "/folder.1/job.yaml"));
}

TEST(RunDir, AFolderThatIsWorkedInIsNotMoved) {
  const TempDir dir("run_dir");
  const JobConfig job = JobIn(dir.path());
  RunDir(job).Prepare(job, false);
  const std::string before = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  const JobConfig here = JobIn(".");
  EXPECT_THROW(RunDir(here).Prepare(here, true), AlreadyExistsError);
  std::filesystem::current_path(before);
}

TEST(RunDir, WhatCannotBeAFolderIsRefused) {
  const TempDir dir("run_dir");
  const std::string file = dir.Write("file", "");
  for (const std::string& path : {file, file + "/child", std::string("/dev/full"),
                                  std::string("/proc/xx"), std::string("/proc/xx/yy")}) {
    for (const bool fresh : {false, true}) {
      const JobConfig job = JobIn(path);
      try {
        RunDir(job).Prepare(job, fresh);
        FAIL() << path;
      } catch (const Error& e) {
        EXPECT_THAT(e.what(), HasSubstr("another run_dir"));
        EXPECT_EQ(ExitCodeOf(e), kExitCannotWrite) << path;
      }
    }
  }
  const JobConfig job = JobIn(dir.path() + "/a/b");
  EXPECT_NO_THROW(RunDir(job).CheckWritable());
  EXPECT_FALSE(PosixEnv()->Exists(dir.path() + "/a"));
}

TEST(RunDir, AnotherModelIsRefusedOnceThereIsACheckpoint) {
  const TempDir dir("run_dir");
  const std::string run_dir = dir.path() + "/run";
  RunDir(JobIn(run_dir)).Prepare(JobIn(run_dir), false);
  const JobConfig other = JobIn(run_dir, 5);
  EXPECT_NO_THROW(RunDir(other).Prepare(other, false));  // nothing to lose yet
  PretendCheckpoint(RunDir(other));
  const JobConfig slower = JobIn(run_dir, 5, 0.01);
  EXPECT_NO_THROW(RunDir(slower).Prepare(slower, false));
  const JobConfig third = JobIn(run_dir, 6);
  try {
    RunDir(third).Prepare(third, false);
    FAIL();
  } catch (const FailedPreconditionError& e) {
    EXPECT_THAT(e.what(), HasSubstr("units: 5 -> 6"));
    EXPECT_THAT(e.what(), HasSubstr("--fresh"));
  }
}

TEST(JobDifferences, NameWhatChanged) {
  EXPECT_THAT(JobDifferences(R"({"a":{"b":1,"c":2},"d":[1]})", R"({"a":{"b":3},"d":[1],"e":"x"})"),
              ElementsAre("a.b: 1 -> 3", "e: nothing -> \"x\"", "a.c: 2 -> nothing"));
}

TEST(Result, HasTheLastAndTheBestFigures) {
  RunResult result;
  result.job = "j";
  for (const auto& [loss, accuracy] : {std::pair(0.5, 0.8), std::pair(0.3, 0.9), std::pair(0.4, 0.85)}) {
    Logs logs;
    logs.Set("loss", loss);
    logs.Set("val_accuracy", accuracy);
    result.history.epochs.push_back(static_cast<int64_t>(result.history.logs.size()));
    result.history.logs.push_back(logs);
  }
  const std::string json = ResultJson(result);
  EXPECT_THAT(json, HasSubstr("\"final\": {\n    \"loss\": 0.4,\n    \"val_accuracy\": 0.85"));
  EXPECT_THAT(json, HasSubstr("\"value\": 0.3,\n      \"epoch\": 2"));
  EXPECT_THAT(json, HasSubstr("\"value\": 0.9,\n      \"epoch\": 2"));
}

Logs Figures(double loss) {
  Logs logs;
  logs.Set("loss", loss);
  return logs;
}

TEST(Result, OfEarlierLaunchesCountsOn) {
  RunResult first;
  first.history = {.epochs = {0, 1, 2}, .logs = {Figures(0.5), Figures(0.2), Figures(0.1)}};
  first.examples_per_second = 123;
  const std::string before = ResultJson(first);
  // Finished: nothing to do.
  const std::string idle = ResultJson(RunResult(), before);
  EXPECT_THAT(idle, HasSubstr("\"loss\": 0.1"));
  EXPECT_THAT(idle, HasSubstr("\"value\": 0.1"));
  EXPECT_THAT(idle, HasSubstr("\"examples_per_second\": 123"));
  // Gone on after the third epoch; from scratch.
  RunResult second;
  second.history = {.epochs = {3}, .logs = {Figures(0.3)}};
  EXPECT_THAT(ResultJson(second, before), HasSubstr("\"value\": 0.1,\n      \"epoch\": 3"));
  second.history.epochs = {0};
  EXPECT_THAT(ResultJson(second, before), HasSubstr("\"value\": 0.3,\n      \"epoch\": 1"));
  EXPECT_EQ(ResultJson(second, "no JSON"), ResultJson(second));
}

TEST(RunDir, WhatMustGoOnNeedsACheckpoint) {
  const TempDir dir("run_dir");
  const JobConfig job = JobIn(dir.path() + "/run", 4, 0.1, "checkpoint: {resume: required}\n");
  EXPECT_THROW(RunDir(job).Prepare(job, false), NotFoundError);
  EXPECT_FALSE(PosixEnv()->Exists(job.run_dir));
  EXPECT_THROW(RunDir(job).Prepare(job, true), FailedPreconditionError);
  PretendCheckpoint(RunDir(job));
  EXPECT_NO_THROW(RunDir(job).Prepare(job, false));
}

}  // namespace
}  // namespace tributary

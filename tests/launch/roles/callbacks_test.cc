#include "launch/roles/callbacks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/temp_dir.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;

JobConfig JobWith(const std::string& more) {
  JobSources sources;
  sources.environment = false;
  return ParseJob("data: {train: {source: digits}}\nloss: mse\nmodel: [Flatten, {Dense: {units: 4}}]\n" +
                      more,
                  "test.yaml", sources);
}

std::vector<std::string> NamesOf(const std::string& more, bool quiet = false) {
  const TempDir dir("callbacks");
  const JobConfig job = JobWith("run_dir: " + dir.path() + "\n" + more);
  std::vector<std::string> names;
  for (const CallbackPtr& callback : MakeCallbacks(job, RunDir(job), quiet)) {
    names.push_back(callback->name());
  }
  return names;
}

TEST(MakeCallbacks, OnesOfTheBlocksAreThereOnce) {
  EXPECT_THAT(NamesOf(""), ElementsAre("TensorBoard", "Progress", "ModelCheckpoint"));
  EXPECT_THAT(NamesOf("callbacks: [{ModelCheckpoint: {}}, Progress, TensorBoard, CSVLogger]\n"),
              ElementsAre("CSVLogger", "TensorBoard", "Progress", "ModelCheckpoint"));
  EXPECT_THAT(NamesOf("callbacks: [Progress]\n", true),
              ElementsAre("TensorBoard", "ModelCheckpoint"));
  EXPECT_THAT(NamesOf("callbacks: [{ModelCheckpoint: {directory: other}}]\n"),
              ElementsAre("ModelCheckpoint", "TensorBoard", "Progress", "ModelCheckpoint"));
}

TEST(MakeCallbacks, WhatACallbackSaysComesBeforeItsBlock) {
  EXPECT_EQ(ResumeMode(JobWith("")), "auto");
  EXPECT_EQ(ResumeMode(JobWith("checkpoint: {resume: never}\n")), "never");
  EXPECT_EQ(ResumeMode(JobWith("checkpoint: {resume: never}\n"
                               "callbacks: [{ModelCheckpoint: {resume: required}}]\n")),
            "required");
  EXPECT_EQ(ResumeMode(JobWith("checkpoint: {resume: never}\n"
                               "callbacks: [{ModelCheckpoint: {max_to_keep: 2}}]\n")),
            "never");
}

}  // namespace
}  // namespace tributary

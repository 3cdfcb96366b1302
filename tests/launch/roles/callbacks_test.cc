#include "launch/roles/callbacks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "launch/config/block_callbacks.h"
#include "launch/config/yaml_writer.h"
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

// A job as it is written down is the same job when it is read.
TEST(MakeCallbacks, WhatNobodyHasChosenIsNotWrittenDown) {
  const JobConfig job = JobWith("checkpoint: {every: 3 steps, resume: never}\n"
                                "callbacks: [{ModelCheckpoint: {max_to_keep: 2}}, CSVLogger]\n");
  const std::string text = WriteYaml(ForWriting(job.options));
  EXPECT_THAT(text, testing::HasSubstr("max_to_keep: 2"));
  EXPECT_THAT(text, testing::HasSubstr("filename:"));  // of one that stands for no block
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("directory:")));
  JobSources sources;
  sources.environment = false;
  EXPECT_EQ(ResumeMode(ParseJob(text, "written.yaml", sources)), "never");
}

}  // namespace
}  // namespace tributary

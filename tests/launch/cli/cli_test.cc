// The commands as a user calls them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/strings.h"
#include "core/io/env.h"
#include "tests/launch/cli/call.h"
#include "tests/temp_dir.h"

namespace tributary {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using nlohmann::json;

class Cli : public testing::Test {
 protected:
  void SetUp() override {
    job_ = folder_.Write("tiny.yaml", fmt::format(R"(run_dir: {}/run
seed: 3
data:
  train: {{source: digits, count: 400, split: "[:300]", shuffle: 300, batch: 50}}
  test: {{source: digits, count: 400, split: "[300:]", batch: 50}}
model: [Flatten, {{Dense: {{units: 16, activation: relu}}}}, {{Dense: {{units: 10}}}}]
loss: SparseCategoricalCrossentropy
metrics: [accuracy]
optimizer: {{Adam: {{learning_rate: 0.01}}}}
train: {{epochs: 2}}
summary: {{every: 2 steps}}
)", folder_.path()));
  }

  json Result() {
    std::ifstream stream(folder_.path() + "/run/result.json");
    return json::parse(stream);
  }

  const TempDir folder_{"cli"};
  std::string job_;
};

TEST_F(Cli, ExitCodesFollowTheTable) {
  EXPECT_EQ(Call({}).code, 64);
  EXPECT_EQ(Call({"--help"}).code, 0);
  EXPECT_EQ(Call({"train"}).code, 64);
  EXPECT_EQ(Call({"version"}).code, 0);
  EXPECT_EQ(Call({"--version"}).code, 0);
  const Outcome typo = Call({"trian", job_});
  EXPECT_EQ(typo.code, 64);
  EXPECT_THAT(typo.err, HasSubstr("did you mean 'train'?"));
  EXPECT_THAT(Call({"train", job_, "--frsh"}).err, HasSubstr("did you mean '--fresh'?"));
  const Outcome missing = Call({"train", folder_.path() + "/tny.yaml"});
  EXPECT_EQ(missing.code, 66);
  EXPECT_THAT(missing.err, HasSubstr(
                               "did you mean '" +
                               std::filesystem::path(job_).lexically_normal().string() + "'?"));
  EXPECT_EQ(Call({"train", folder_.Write("bad.yaml", "model: 3\n")}).code, 78);
  EXPECT_EQ(Call({"train", job_, "--set", "train.epochs=x"}).code, 78);
  const std::string nofile =
      folder_.Write("nofile.yaml", "data: {train: {source: csv, path: nowhere.csv}}\n"
                                   "model: [Flatten]\nloss: mse\n");
  EXPECT_EQ(Call({"config", "show", nofile}).code, 66);
  EXPECT_THAT(Call({"train", "--help"}).out, HasSubstr("78  the job has mistakes"));
}

TEST_F(Cli, VersionNamesTheCommitOfACheckout) {
  const json facts = json::parse(Call({"version", "--json"}).out);
  EXPECT_THAT(facts["tributary"].get<std::string>(), testing::MatchesRegex("[0-9.]+"));
  EXPECT_NE(facts["build"], "");
  const bool checkout = std::filesystem::exists(TRIBUTARY_SOURCE_DIR "/.git");
  EXPECT_EQ(facts.contains("commit"), checkout);
  if (checkout) {
    EXPECT_THAT(facts["commit"].get<std::string>(), testing::ContainsRegex("[0-9a-f]{7}"));
  }
}

TEST_F(Cli, VersionNamesTheLibraries) {
  const json facts = json::parse(Call({"version", "--json"}).out);
  for (const char* library :
       {"oneDNN", "MPI", "Highway", "protobuf", "OpenSSL", "Boost", "zlib", "fmt", "spdlog"}) {
    ASSERT_TRUE(facts.contains(library)) << library;
    EXPECT_THAT(facts[library].get<std::string>(), testing::ContainsRegex("[0-9]+[.][0-9]"));
  }
}

TEST_F(Cli, OnlyRankZeroSpeaksOfAWrongJob) {
  const std::string bad = folder_.Write("bad.yaml", "model: 3\n");
  setenv("OMPI_COMM_WORLD_RANK", "1", 1);
  const Outcome other = Call({"train", bad});
  setenv("OMPI_COMM_WORLD_RANK", "0", 1);
  const Outcome first = Call({"train", bad});
  unsetenv("OMPI_COMM_WORLD_RANK");
  EXPECT_EQ(other.code, 78);
  EXPECT_THAT(other.err, IsEmpty());
  EXPECT_EQ(first.code, 78);
  EXPECT_THAT(first.err, HasSubstr("error: "));
}

std::vector<json> JsonLines(const std::string& text) {
  std::vector<json> lines;
  for (const std::string& line : Split(text, '\n')) {
    if (!line.empty()) lines.push_back(json::parse(line));
  }
  return lines;
}

TEST_F(Cli, AsJsonEverythingThatTrainSaysIsALogLine) {
  const Outcome outcome = Call({"train", job_, "--log-format", "json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, IsEmpty());
  const std::vector<json> lines = JsonLines(outcome.err);
  int epochs = 0;
  for (const json& line : lines) {
    for (const char* key : {"time", "level", "job", "task", "host", "message", "fields"}) {
      EXPECT_TRUE(line.contains(key)) << line;
    }
    EXPECT_EQ(line["job"], "tiny");
    epochs += line["fields"].contains("epoch") && line["fields"].contains("accuracy");
  }
  EXPECT_EQ(epochs, 2);
  EXPECT_EQ(lines.back()["task"], "/job:worker/task:0");
  EXPECT_EQ(lines.back()["fields"]["status"], "done");
  EXPECT_EQ(lines.back()["fields"]["steps"], 12);
  EXPECT_TRUE(lines.back()["fields"]["test_accuracy"].is_number());
  // The log of the run is in the same form.
  std::ifstream log(folder_.path() + "/run/logs/worker-0.log");
  std::stringstream text;
  text << log.rdbuf();
  EXPECT_GT(JsonLines(text.str()).size(), 2u);
}

TEST_F(Cli, AsJsonErrorsAreLogLines) {
  const Outcome missing = Call({"train", folder_.path() + "/tny.yaml", "--log-format=json"});
  EXPECT_EQ(missing.code, 66);
  ASSERT_EQ(JsonLines(missing.err).size(), 1u) << missing.err;
  EXPECT_EQ(JsonLines(missing.err)[0]["level"], "error");
  EXPECT_EQ(JsonLines(missing.err)[0]["fields"]["exit_code"], 66);
  setenv("TRIBUTARY_LOG_FORMAT", "json", 1);
  const Outcome wrong = Call({"train", folder_.Write("bad.yaml", "model: 3\n")});
  const Outcome usage = Call({"train", job_, "--frsh"});
  unsetenv("TRIBUTARY_LOG_FORMAT");
  EXPECT_EQ(JsonLines(wrong.err)[0]["fields"]["exit_code"], 78);
  EXPECT_THAT(JsonLines(usage.err)[0]["message"].get<std::string>(), HasSubstr("'--fresh'"));
  const Outcome form = Call({"train", job_, "--log-format", "xml"});
  EXPECT_EQ(form.code, 64);
  EXPECT_THAT(form.err, HasSubstr("--log-format"));
  EXPECT_THAT(Call({"train", "--help"}).out, HasSubstr("TRIBUTARY_LOG_FORMAT"));
}

TEST_F(Cli, AMissingPathSaysWhereItEndsAndWhatToDo) {
  const auto error = [&](const std::string& path) {
    return Call({"check", folder_.Write("m.yaml", "data: {train: {source: csv, path: " + path +
                                                      "}}\nmodel: [Flatten]\nloss: mse\n")}).err;
  };
  EXPECT_THAT(error(folder_.path() + "/nowhere/near.csv"),
              HasSubstr("; there is '" +
                        std::filesystem::path(folder_.path()).lexically_normal().string() +
                        "', but no 'nowhere' in it"));
  EXPECT_THAT(error("qqqqqq.csv"), HasSubstr("set TRIBUTARY_DATA_DIR"));
}

TEST_F(Cli, ConfigShowsWhereEveryValueCameFrom) {
  const Outcome shown = Call({"config", "show", job_, "--set", "train.epochs=7"});
  ASSERT_EQ(shown.code, 0);
  EXPECT_THAT(shown.out, HasSubstr("# --set #1"));
  EXPECT_THAT(shown.out, HasSubstr("tiny.yaml:2:7"));
  EXPECT_THAT(shown.out, HasSubstr("# default"));
  EXPECT_EQ(json::parse(Call({"config", "show", job_, "--json"}).out)["seed"], 3);
  EXPECT_EQ(json::parse(Call({"config", "schema"}).out)["type"], "object");
}

TEST_F(Cli, ATrainedJobCanBeMeasuredUsedAndInspected) {
  const Outcome trained = Call({"train", job_});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(trained.out, HasSubstr("Epoch 2/2"));
  EXPECT_THAT(trained.out, HasSubstr("test: loss"));
  const json result = Result();
  EXPECT_EQ(result["status"], "done");
  EXPECT_EQ(result["steps"], 12);
  EXPECT_EQ(result["epochs"], 2);
  for (const char* name : {"job.yaml", "checkpoints/checkpoint", "logs/worker-0.log", "summaries/train"}) {
    EXPECT_TRUE(PosixEnv()->Exists(folder_.path() + "/run/" + name)) << name;
  }

  const json measured = json::parse(Call({"evaluate", job_, "--json"}).out);
  EXPECT_EQ(measured["examples"], 100);
  EXPECT_NEAR(measured["figures"]["loss"].get<double>(), result["test"]["loss"].get<double>(), 1e-6);

  const Outcome predicted = Call({"predict", job_, "--limit", "3"});
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  EXPECT_EQ(Split(predicted.out, '\n').size(), 4u);
  ASSERT_EQ(Call({"predict", job_, "--output", folder_.path() + "/out.npy"}).code, 0);
  EXPECT_TRUE(PosixEnv()->Exists(folder_.path() + "/out.npy"));

  const json checkpoint = json::parse(
      Call({"inspect", folder_.path() + "/run/checkpoints", "--json", "--verify"}).out);
  EXPECT_TRUE(checkpoint["verified"].get<bool>());
  EXPECT_GT(checkpoint["tensors"].size(), 4u);
  const json events = json::parse(
      Call({"inspect", folder_.path() + "/run/summaries/train", "--json"}).out);
  EXPECT_TRUE(events["tags"].contains("epoch_loss")) << events.dump();
  EXPECT_EQ(Call({"inspect", folder_.path() + "/run"}).code, 0);
  EXPECT_EQ(Call({"inspect", folder_.path() + "/nothing"}).code, 66);
}

TEST_F(Cli, ASecondLaunchGoesOnWhereTheFirstStopped) {
  ASSERT_EQ(Call({"train", job_, "--quiet", "--set", "train.epochs=1"}).code, 0);
  EXPECT_EQ(Result()["steps"], 6);
  const Outcome more = Call({"train", job_, "--quiet"});
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_THAT(more.err, HasSubstr("resuming from"));
  EXPECT_EQ(Result()["steps"], 12);
  EXPECT_EQ(Call({"train", job_, "--quiet", "--set", "model[1].units=17"}).code, 78);
  EXPECT_EQ(Call({"train", job_, "--quiet", "--fresh", "--set", "model[1].units=17"}).code, 0);
}

TEST_F(Cli, CheckTriesAJobAndWritesNothing) {
  const Outcome checked = Call({"check", job_, "--json"});
  ASSERT_EQ(checked.code, 0) << checked.err;
  const json facts = json::parse(checked.out);
  EXPECT_EQ(facts["parameters"], 784 * 16 + 16 + 16 * 10 + 10);
  EXPECT_EQ(facts["data"]["train"]["examples"], 300);
  EXPECT_GT(facts["step_memory_bytes"], 0);
  EXPECT_GT(facts["first_step"]["loss"].get<double>(), 0);
  EXPECT_FALSE(PosixEnv()->Exists(folder_.path() + "/run"));
  EXPECT_EQ(Call({"check", job_, "--processes", "3"}).code, 78);  // 50 is no multiple
}

TEST_F(Cli, GraphPrintsTheStep) {
  const json graph = json::parse(Call({"graph", job_, "--json"}).out);
  EXPECT_GT(graph["schedule"].size(), 5u);
  EXPECT_GT(graph["memory"]["naive_bytes"], graph["memory"]["arena_bytes"]);
  EXPECT_THAT(Call({"graph", job_, "--dot"}).out, HasSubstr("digraph \"tiny\""));
  const std::string text = Call({"graph", job_}).out;
  EXPECT_THAT(text, HasSubstr("tiny, a step of 50 examples: "));
  EXPECT_THAT(text, HasSubstr("fusions"));
  EXPECT_THAT(text, HasSubstr(" naive"));
}

TEST_F(Cli, ANanStopsTheRunWithItsOwnCode) {
  const Outcome outcome = Call({"train", job_, "--quiet", "--set", "optimizer={SGD: {learning_rate: 1e38}}"});
  EXPECT_EQ(outcome.code, 80) << outcome.err;
  EXPECT_EQ(Result()["status"], "failed");
}

TEST_F(Cli, ShellsCompleteCommandsAndKeys) {
  EXPECT_THAT(Call({"completion", "bash"}).out, HasSubstr("complete -o filenames"));
  const std::string keys = Call({"completion", "keys"}).out;
  EXPECT_THAT(keys, HasSubstr("\ntrain.epochs=\n"));
  EXPECT_THAT(keys, HasSubstr("\noptimizer.Adam.learning_rate=\n"));
  EXPECT_THAT(keys, HasSubstr("\ndata.train.batch=\n"));
}

TEST_F(Cli, DoctorExaminesTheMachine) {
  const Outcome outcome = Call({"doctor", "--json"});
  ASSERT_EQ(outcome.code, 0);
  const json facts = json::parse(outcome.out);
  for (const char* fact : {"cores", "memory", "oneDNN", "MPI", "fsync", "open files"}) {
    EXPECT_TRUE(facts.contains(fact)) << fact;
  }
}

}  // namespace
}  // namespace tributary

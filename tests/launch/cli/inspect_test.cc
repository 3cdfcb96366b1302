// inspect: one document, and what is not there is told.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/strings.h"
#include "tests/launch/cli/call.h"
#include "tests/temp_dir.h"

namespace tributary {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class Inspect : public testing::Test {
 protected:
  void SetUp() override {
    const std::string job = folder_.Write("job.yaml", fmt::format(R"(run_dir: {}/run
data:
  train: {{source: digits, count: 200, batch: 50}}
  validation: {{source: digits, count: 100, batch: 50}}
model: [Flatten, {{Dense: {{units: 10, name: logits}}}}]
loss: SparseCategoricalCrossentropy
train: {{epochs: 1}}
)", folder_.path()));
    ASSERT_EQ(Call({"train", job, "--quiet"}).code, 0);
  }

  // The only file of the checkpoint whose name holds `part`.
  std::string CheckpointFile(const std::string& part) const {
    for (const auto& file : std::filesystem::directory_iterator(run_ + "/checkpoints")) {
      if (file.path().string().find(part) != std::string::npos) return file.path();
    }
    return "";
  }

  const TempDir folder_{"inspect"};
  const std::string run_ = folder_.path() + "/run";
};

TEST_F(Inspect, ARunIsOneJsonDocument) {
  const json run = json::parse(Call({"inspect", run_, "--json"}).out);
  ASSERT_EQ(run["parts"].size(), 3u);
  EXPECT_TRUE(run["parts"][0].contains("tensors"));
  EXPECT_TRUE(run["parts"][1]["tags"].contains("epoch_loss"));
}

TEST_F(Inspect, OneCurveIsFoundWhereverItIs) {
  const Outcome curves = Call({"inspect", run_, "--tag", "epoch_loss"});
  ASSERT_EQ(curves.code, 0) << curves.err;
  EXPECT_THAT(curves.out, HasSubstr("# " + run_ + "/summaries/train\n"));
  EXPECT_THAT(curves.out, HasSubstr("# " + run_ + "/summaries/validation\n"));
  EXPECT_THAT(curves.out, Not(HasSubstr("checkpoint")));
  const json one = json::parse(
      Call({"inspect", run_ + "/summaries/train", "--tag", "epoch_loss", "--json"}).out);
  EXPECT_EQ(one["tag"], "epoch_loss");
  EXPECT_EQ(one["points"].size(), 1u);
  const Outcome none = Call({"inspect", run_, "--tag", "epoch_lss"});
  EXPECT_EQ(none.code, 66);
  EXPECT_THAT(none.err, HasSubstr("did you mean 'epoch_loss'?"));
}

TEST_F(Inspect, OneTensorHasItsValuesAsJson) {
  const json run = json::parse(Call({"inspect", run_ + "/checkpoints", "--json"}).out);
  std::string bias;
  for (const json& tensor : run["tensors"]) {
    if (tensor["shape"] == json{10} && bias.empty()) bias = tensor["name"];
  }
  ASSERT_NE(bias, "");
  const json tensor = json::parse(Call({"inspect", run_, "--tensor", bias, "--json"}).out);
  EXPECT_EQ(tensor["values"].size(), 10u);
  EXPECT_EQ(tensor["dtype"], "float32");
}

TEST_F(Inspect, OptionsThatDoNotFitAreRefused) {
  EXPECT_THAT(Call({"inspect", run_ + "/checkpoints", "--tag", "x"}).err,
              HasSubstr("has no event files"));
  EXPECT_THAT(Call({"inspect", run_ + "/summaries", "--tensor", "x"}).err,
              HasSubstr("has no checkpoint"));
  EXPECT_EQ(Call({"inspect", run_, "--tag", "x", "--tensor", "y"}).code, 64);
  const Outcome file = Call({"inspect", folder_.path() + "/job.yaml"});
  EXPECT_EQ(file.code, 65);
  EXPECT_THAT(file.err, HasSubstr("is no checkpoint, no event file"));
}

TEST_F(Inspect, DataThatIsMissingOrShortIsTold) {
  const std::string data = CheckpointFile(".data-");
  std::filesystem::resize_file(data, std::filesystem::file_size(data) - 1);
  const Outcome cut = Call({"inspect", run_});
  EXPECT_EQ(cut.code, 65);
  EXPECT_THAT(cut.out, HasSubstr("! the data file " + data + " is cut off"));
  std::filesystem::remove(data);
  const Outcome missing = Call({"inspect", run_, "--json"});
  EXPECT_EQ(missing.code, 65);
  EXPECT_THAT(json::parse(missing.out)["parts"][0]["damage"].get<std::string>(),
              HasSubstr("is missing"));
}

}  // namespace
}  // namespace tributary

// Every job in configs/ runs: a few steps of each, and some to a stated accuracy.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "launch/config/job.h"
#include "launch/roles/train.h"
#include "tests/temp_dir.h"

namespace tributary {
namespace {

const std::string kConfigs = std::string(TRIBUTARY_SOURCE_DIR) + "/configs";

std::vector<std::string> ConfigNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kConfigs)) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Criteo's data can't be passed on: lines in its format, whose label follows C1.
std::string ClickLog() {
  std::ostringstream out;
  for (uint32_t row = 0; row < 3000; ++row) {
    const uint32_t c1 = row * 2654435761u >> 29;
    out << (c1 > 4 ? 1 : 0);
    for (uint32_t i = 0; i < 13; ++i) {
      out << '\t';
      if ((row + i) % 7 != 0) out << (row * (i + 3)) % 50;
    }
    for (uint32_t i = 0; i < 26; ++i) {
      out << '\t';
      if ((row + i) % 11 == 0 && i > 0) continue;
      out << std::hex << (i == 0 ? c1 : row % (i * 9 + 2)) << std::dec;
    }
    out << '\n';
  }
  return out.str();
}

// Runs the job in a folder of its own; null when its data is not here.
std::optional<nlohmann::json> Train(const std::string& name, std::vector<std::string> overrides) {
  const TempDir folder("configs");
  JobSources sources;
  sources.environment = false;
  sources.overrides = std::move(overrides);
  sources.overrides.push_back("run_dir=" + folder.path() + "/run");
  if (name == "criteo_deepfm") {
    const std::string path = folder.Write("train.txt", ClickLog());
    sources.overrides.push_back("data.train.path=" + path);
    sources.overrides.push_back("data.test.path=" + path);
    sources.overrides.push_back("data.train.batch=256");
  }
  try {
    const JobConfig job = LoadJob(kConfigs + "/" + name + ".yaml", sources);
    EXPECT_EQ(TrainJob(job, {.quiet = true}), 0);
  } catch (const ConfigError& e) {
    if (e.only_missing_files()) return std::nullopt;
    throw;
  } catch (const NotFoundError&) {
    return std::nullopt;
  }
  std::ifstream stream(folder.path() + "/run/result.json");
  return nlohmann::json::parse(stream);
}

class Configs : public testing::TestWithParam<std::string> {};

TEST_P(Configs, RunAFewSteps) {
  const auto result = Train(GetParam(), {"train.steps=4"});
  if (!result) GTEST_SKIP() << "THE DATA OF " << GetParam() << " IS NOT HERE: set TRIBUTARY_DATA_DIR";
  EXPECT_EQ((*result)["status"], "done");
  EXPECT_EQ((*result)["steps"], 4);
  EXPECT_TRUE(result->at("test").at("loss").is_number()) << result->dump(2);
}

INSTANTIATE_TEST_SUITE_P(All, Configs, testing::ValuesIn(ConfigNames()),
                         [](const auto& info) { return info.param; });

struct Goal {
  const char* name;
  std::vector<std::string> overrides;
  double accuracy;
};

class Goals : public testing::TestWithParam<Goal> {};

TEST_P(Goals, AreReached) {
  const auto result = Train(GetParam().name, GetParam().overrides);
  if (!result) GTEST_SKIP() << "THE DATA OF " << GetParam().name << " IS NOT HERE: set TRIBUTARY_DATA_DIR";
  EXPECT_GT(result->at("test").at("accuracy").get<double>(), GetParam().accuracy) << result->dump(2);
}

INSTANTIATE_TEST_SUITE_P(
    All, Goals,
    testing::Values(Goal{"quickstart", {}, 0.92}, Goal{"mnist_mlp", {}, 0.925},
                    Goal{"mnist_cnn", {"train.epochs=1"}, 0.90},
                    Goal{"adult_mlp", {"train.epochs=2"}, 0.84},
                    Goal{"wide_deep_adult", {"train.epochs=4"}, 0.855},
                    Goal{"wide_deep_ps", {"train.epochs=4"}, 0.85},
                    Goal{"shakespeare_char", {"train.steps=600"}, 0.30}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace tributary

// Log lines as text and as JSON.

#include "core/base/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/temp_dir.h"

namespace tributary {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Logging : public testing::Test {
 protected:
  void SetUp() override {
    SetLogOrigin("job", "mnist_mlp");
    SetLogOrigin("task", "/job:worker/task:1");
    SetLogOrigin("host", "node2");
    SetLogPrefix("worker 1@node2");
  }
  void TearDown() override {
    SetLogFormat(LogFormat::kText);
    SetLogPrefix("");
    for (const char* key : {"job", "task", "host"}) SetLogOrigin(key, "");
  }
  template <typename Fn>
  static std::vector<std::string> LinesOf(const Fn& fn) {
    testing::internal::CaptureStderr();
    fn();
    std::istringstream text(testing::internal::GetCapturedStderr());
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }
};

TEST_F(Logging, TextLinesHaveLevelTimeAndPrefix) {
  const auto lines = LinesOf([] {
    LogWarning("[csv] line {} is bad", 3);
    LogEvent(LogLevel::kInfo, "saved", {{"step", int64_t{7}}});
  });
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0], testing::MatchesRegex("W [0-9:.]+ .worker 1@node2. .csv. line 3 is bad"));
  EXPECT_THAT(lines[1], testing::EndsWith("[worker 1@node2] saved"));
}

TEST_F(Logging, JsonLinesAreOneObjectEachWithAllKeys) {
  SetLogFormat(LogFormat::kJson);
  const auto lines = LinesOf([] {
    LogEvent(LogLevel::kError, "[checkpoint] \"quoted\"\nand \xff broken",
             {{"step", int64_t{7}}, {"loss", 0.5}, {"name", std::string("a")}, {"last", true}});
    LogInfo("plain");
  });
  ASSERT_EQ(lines.size(), 2u);
  const json first = json::parse(lines[0]);
  std::vector<std::string> keys;
  const auto ordered = nlohmann::ordered_json::parse(lines[0]);
  for (const auto& [key, value] : ordered.items()) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{"time", "level", "job", "task", "host", "message",
                                            "fields"}));
  EXPECT_THAT(first["time"].get<std::string>(),
              testing::MatchesRegex("20[0-9-]+T[0-9:]+[.][0-9][0-9][0-9]Z"));
  EXPECT_EQ(first["level"], "error");
  EXPECT_EQ(first["job"], "mnist_mlp");
  EXPECT_EQ(first["task"], "/job:worker/task:1");
  EXPECT_EQ(first["host"], "node2");
  EXPECT_THAT(first["message"].get<std::string>(), HasSubstr("[checkpoint] \"quoted\"\nand "));
  EXPECT_EQ(first["fields"], (json{{"component", "checkpoint"}, {"step", 7}, {"loss", 0.5},
                                   {"name", "a"}, {"last", true}}));
  EXPECT_EQ(json::parse(lines[1])["fields"], json::object());
}

TEST_F(Logging, TheFileHasTheSameForm) {
  const TempDir dir("logging");
  const std::string path = dir.path() + "/log";
  SetLogFile(path);
  SetLogFormat(LogFormat::kJson);
  LinesOf([] { LogInfo("one"); });
  SetLogFormat(LogFormat::kText);
  LinesOf([] { LogInfo("two"); });
  std::ifstream file(path);
  std::string line;
  ASSERT_TRUE(std::getline(file, line));
  EXPECT_EQ(json::parse(line)["message"], "one");
  ASSERT_TRUE(std::getline(file, line));
  EXPECT_THAT(line, testing::MatchesRegex("I 20[0-9-]+ [0-9:.]+ .worker 1@node2. two"));
}

TEST_F(Logging, LinesOfManyThreadsStayWhole) {
  SetLogFormat(LogFormat::kJson);
  const auto lines = LinesOf([] {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([t] {
        for (int i = 0; i < 50; ++i) LogEvent(LogLevel::kInfo, "x", {{"thread", int64_t{t}}});
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  EXPECT_EQ(lines.size(), 200u);
  for (const std::string& line : lines) EXPECT_TRUE(json::accept(line)) << line;
}

}  // namespace
}  // namespace tributary

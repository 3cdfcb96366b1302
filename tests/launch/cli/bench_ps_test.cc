// tributary bench ps. It forks before there are threads, so each run has a process of its
// own: that of a death test.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "launch/cli/exit_codes.h"
#include "tests/launch/cli/call.h"

namespace tributary {
namespace {

using nlohmann::json;

// Prints what the command prints to stderr, where a death test looks.
[[noreturn]] void RunBench(std::vector<std::string> words) {
  words.insert(words.begin(), {"bench", "ps"});
  const Outcome outcome = Call(std::move(words));
  fputs((outcome.err + outcome.out).c_str(), stderr);
  std::exit(outcome.code);
}

// Figures are positive; whether they are good is for the machine that is measured.
bool HasFigures(const json& o, const std::vector<const char*>& keys) {
  for (const char* key : keys) {
    if (!o.contains(key) || !o[key].is_number() || !(o[key].get<double>() > 0)) {
      ADD_FAILURE() << key << " of " << o;
      return false;
    }
  }
  return true;
}

MATCHER(DescribesAllMeasurements, "") {
  const size_t begin = arg.find('{');
  const json o = json::parse(arg.substr(std::min(begin, arg.size())), nullptr, false);
  if (!o.is_object()) return false;
  if (!HasFigures(o, {"rows", "keys_per_batch", "unique_keys_per_batch"})) return false;
  if (!HasFigures(o["one_key_pull"], {"p50_us", "p99_us", "raw_p50_us", "raw_p99_us",
                                      "p50_over_raw", "p99_over_raw", "target_p50_over_raw",
                                      "target_p99_over_raw"}) ||
      !HasFigures(o["dense_push_pull"],
                  {"gigabytes_per_second", "raw_stream_gigabytes_per_second",
                   "raw_duplex_gigabytes_per_second", "over_raw_stream",
                   "target_over_raw_stream"}) ||
      !HasFigures(o["log"], {"dim", "keys_per_second", "without_keys_per_second",
                             "target_cost_percent"}) ||
      !o["log"]["cost_percent"].is_number()) {
    return false;
  }
  if (o["lookup_push"].size() != 6) return false;
  for (const json& row : o["lookup_push"]) {
    if (!HasFigures(row, {"dim", "keys_per_second", "in_turns_keys_per_second",
                          "raw_keys_per_second", "over_raw"})) {
      return false;
    }
    const bool aimed_at = row["optimizer"] == "SGD";
    if (aimed_at != row.contains("holds")) return false;
    if (aimed_at && !HasFigures(row, {"target_keys_per_second", "required_keys_per_second"})) {
      return false;
    }
  }
  return o["rows"] == 20000 && o["keys_per_batch"] == 4096 * 26 &&
         o["one_key_pull"]["holds"].is_boolean() && o["dense_push_pull"]["holds"].is_boolean() &&
         o["log"]["holds"].is_boolean();
}

class BenchPsDeathTest : public testing::Test {
 protected:
  BenchPsDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(BenchPsDeathTest, TellsAllFiguresAsOneObject) {
  EXPECT_EXIT(RunBench({"--json", "--seconds", "0.05", "--rows", "20000"}),
              testing::ExitedWithCode(0), DescribesAllMeasurements());
}

TEST_F(BenchPsDeathTest, MeasuresWhatIsAskedFor) {
  EXPECT_EXIT(RunBench({"--seconds", "0.02", "--rows", "1000", "--dims", "3", "--optimizers",
                        "Ftrl", "--no-log"}),
              testing::ExitedWithCode(0),
              testing::AllOf(testing::HasSubstr("3, Ftrl"), testing::HasSubstr("pull of one key"),
                             testing::Not(testing::HasSubstr("the log costs"))));
}

TEST_F(BenchPsDeathTest, AnUnknownOptimizerIsNamed) {
  EXPECT_EXIT(RunBench({"--seconds", "0.02", "--rows", "1000", "--optimizers", "Adma"}),
              testing::ExitedWithCode(kExitUsage), testing::HasSubstr("did you mean 'Adam'?"));
}

}  // namespace
}  // namespace tributary

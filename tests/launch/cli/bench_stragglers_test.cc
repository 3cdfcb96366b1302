// tributary bench stragglers: what delays allow, and that a short run has every figure.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "launch/bench/ps_stragglers.h"
#include "launch/cli/exit_codes.h"
#include "tests/launch/cli/call.h"

namespace tributary {
namespace {

using nlohmann::json;

ps::ConsistencyOptions Bounded(int64_t staleness) {
  return {.mode = ps::Consistency::kBounded, .staleness = staleness, .workers = 2};
}

TEST(BenchStragglers, WhatDelaysAllow) {
  // The first worker takes 8 in its first step. 8 steps are made.
  const std::vector<std::vector<double>> delays = {{8, 1}, {1, 1}, {1, 1}, {1, 1}};
  EXPECT_EQ(AllowedTime(delays, {.mode = ps::Consistency::kSync, .workers = 2}), 11);
  // The second may make one step, and one for each step of staleness, and waits until 8.
  EXPECT_EQ(AllowedTime(delays, Bounded(0)), 11);  // then 3 each
  EXPECT_EQ(AllowedTime(delays, Bounded(2)), 10);  // then 2 each
  EXPECT_EQ(AllowedTime(delays, Bounded(4)), 9);
  EXPECT_EQ(AllowedTime(delays, Bounded(6)), 8);
  EXPECT_EQ(AllowedTime(delays, {.mode = ps::Consistency::kAsync, .workers = 2}), 8);
}

TEST(BenchStragglers, WhatWasSlowBeforeHoldsNobodyBack) {
  // Again and again one is slow for 5, while the other makes 5 steps.
  const std::vector<std::vector<double>> delays(10, {5, 1});
  EXPECT_EQ(AllowedTime(delays, Bounded(4)),
            AllowedTime(delays, {.mode = ps::Consistency::kAsync, .workers = 2}));
}

TEST(BenchStragglers, DelaysAreThoseOfTheSeedAndThePattern) {
  StragglerOptions options{.steps = 20'000};
  EXPECT_EQ(StragglerDelays(options), StragglerDelays(options));
  for (const auto pattern : {StragglerPattern::kEach, StragglerPattern::kOne}) {
    options.pattern = pattern;
    int64_t stumbles = 0;
    for (const std::vector<double>& step : StragglerDelays(options)) {
      int64_t now = 0;
      for (const double d : step) now += d > 1;
      if (pattern == StragglerPattern::kOne) { EXPECT_LE(now, 1); }
      stumbles += now;
    }
    const int64_t expected = pattern == StragglerPattern::kOne ? 6'000 : 24'000;
    EXPECT_NEAR(stumbles, expected, expected / 20);
  }
}

TEST(BenchStragglers, EveryConsistencyHasItsFigures) {
  for (const char* carrier : {"tcp", "inproc"}) {
    const Outcome outcome =
        Call({"bench", "stragglers", "--steps", "20", "--step-ms", "0.2", "--pattern", "both",
              "--carrier", carrier, "--workers", "3", "--json"});
    ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
    const json all = json::parse(outcome.out);
    ASSERT_EQ(all.size(), 2u);
    for (const json& o : all) {
      ASSERT_EQ(o["runs"].size(), 5u);
      EXPECT_EQ(o["runs"][0]["over_sync"], 1.0);
      const int64_t bounds[] = {0, 0, 1, 4, 60};
      for (size_t i = 0; i < 5; ++i) {
        EXPECT_GT(o["runs"][i]["steps_per_second"], 0.0);
        EXPECT_GE(o["runs"][i]["allowed_over_sync"], 1.0);
        EXPECT_LE(o["runs"][i]["stalest"], bounds[i]);
      }
    }
  }
}

}  // namespace
}  // namespace tributary

#include "core/runtime/memory_planner.h"

#include <gtest/gtest.h>

#include <random>

namespace tributary {
namespace {

using Kind = MemoryProblem::Kind;
using Value = MemoryProblem::Value;

TEST(MemoryPlannerTest, TensorsThatNeverMeetShareMemory) {
  MemoryProblem p;
  p.values = {{256, 0, 1}, {256, 1, 2}, {256, 2, 3}};
  const MemoryPlan plan = PlanMemory(p);
  EXPECT_EQ(plan.arena_bytes, 512u);
  EXPECT_EQ(plan.naive_bytes, 768u);
  EXPECT_EQ(plan.locations[0].offset, plan.locations[2].offset);
  EXPECT_NE(plan.locations[0].offset, plan.locations[1].offset);
}

TEST(MemoryPlannerTest, WithoutReuseEveryTensorHasItsOwnMemory) {
  MemoryProblem p;
  p.values = {{256, 0, 1}, {256, 1, 2}, {256, 2, 3}};
  p.in_place = {{1, 0, 1, {}}};
  p.reuse = false;
  const MemoryPlan plan = PlanMemory(p);
  EXPECT_EQ(plan.arena_bytes, 768u);
  EXPECT_FALSE(plan.in_place[0]);
}

TEST(MemoryPlannerTest, OffsetsAreAlignedAndEmptyTensorsCostNothing) {
  MemoryProblem p;
  p.values = {{1, 0, 5}, {65, 0, 5}, {0, 0, 5}, {3, 0, 5}};
  const MemoryPlan plan = PlanMemory(p);
  for (const auto& location : plan.locations) EXPECT_EQ(location.offset % 64, 0u);
  EXPECT_EQ(plan.arena_bytes, 64u + 128u + 64u);
}

TEST(MemoryPlannerTest, TheTightestGapIsTaken) {
  MemoryProblem p;
  p.values = {
      {1024, 0, 9, Kind::kArena, true},                    // stays
      {640, 0, 1}, {576, 0, 9, Kind::kArena, true},        // leaves a gap of 640
      {512, 0, 1}, {448, 0, 9, Kind::kArena, true},        // leaves a gap of 512
      {384, 2, 3},
  };
  const MemoryPlan plan = PlanMemory(p);
  EXPECT_EQ(plan.locations[5].offset, plan.locations[3].offset);
  EXPECT_EQ(plan.arena_bytes, 1024u + 640 + 576 + 512 + 448);
}

TEST(MemoryPlannerTest, AliasesLiveAsLongAsTheLastOfThem) {
  MemoryProblem p;
  p.values = {{256, 0, 1}, {256, 1, 4}, {256, 2, 3}};
  p.aliases = {{1, 0}};
  const MemoryPlan plan = PlanMemory(p);
  EXPECT_EQ(plan.locations[0].offset, plan.locations[1].offset);
  EXPECT_NE(plan.locations[2].offset, plan.locations[0].offset);
  EXPECT_EQ(plan.naive_bytes, 512u);
}

TEST(MemoryPlannerTest, ADeadInputIsWrittenOver) {
  MemoryProblem p;
  p.values = {{256, 0, 1}, {256, 1, 2}};
  p.in_place = {{1, 0, 1, {}}};
  const MemoryPlan plan = PlanMemory(p);
  EXPECT_TRUE(plan.in_place[0]);
  EXPECT_EQ(plan.arena_bytes, 256u);
}

TEST(MemoryPlannerTest, AnInputThatIsStillNeededIsNotWrittenOver) {
  MemoryProblem p;
  p.values = {{256, 0, 2}, {256, 1, 2}};
  p.in_place = {{1, 0, 1, {}}};
  EXPECT_FALSE(PlanMemory(p).in_place[0]);
}

TEST(MemoryPlannerTest, AnInputWithALivingAliasIsNotWrittenOver) {
  MemoryProblem p;
  p.values = {{256, 0, 1}, {256, 1, 5}, {256, 2, 5}};
  p.aliases = {{1, 0}};
  p.in_place = {{2, 0, 2, {}}};
  EXPECT_FALSE(PlanMemory(p).in_place[0]);
}

TEST(MemoryPlannerTest, FixedAndKeptInputsAreNotWrittenOver) {
  MemoryProblem p;
  p.values = {{256, 0, 1, Kind::kFixed}, {256, 0, 1, Kind::kArena, true}, {256, 1, 2}};
  p.in_place = {{2, 0, 1, {}}, {2, 1, 1, {}}};
  const MemoryPlan plan = PlanMemory(p);
  EXPECT_FALSE(plan.in_place[0]);
  EXPECT_FALSE(plan.in_place[1]);
}

TEST(MemoryPlannerTest, TheSameMemoryAtAnotherInputForbidsInPlace) {
  MemoryProblem p;
  p.values = {{256, 0, 1}, {256, 1, 1}, {256, 2, 3}};
  p.values[1].last_use = 2;
  p.aliases = {{1, 0}};
  p.in_place = {{2, 0, 2, {1}}};
  EXPECT_FALSE(PlanMemory(p).in_place[0]);
}

TEST(MemoryPlannerTest, OneOutputGetsOneInputOfAStep) {
  MemoryProblem p;
  p.values = {{256, 0, 1}, {256, 0, 1}, {256, 1, 1}, {256, 1, 1}};
  p.in_place = {{2, 0, 1, {1}}, {2, 1, 1, {0}}, {3, 0, 1, {1}}, {3, 1, 1, {0}}};
  const MemoryPlan plan = PlanMemory(p);
  EXPECT_EQ(plan.in_place, (std::vector<bool>{true, false, false, true}));
  EXPECT_EQ(plan.arena_bytes, 512u);
}

TEST(MemoryPlannerTest, PartsLieInsideTheirWhole) {
  MemoryProblem p;
  p.values = {{40, 0, 2}, {24, 1, 2}, {64, 2, 3}};
  p.places = {{0, 2, 0, 2}, {1, 2, 40, 2}};
  const MemoryPlan plan = PlanMemory(p);
  EXPECT_EQ(plan.placed, (std::vector<bool>{true, true}));
  EXPECT_EQ(plan.locations[1].offset, plan.locations[2].offset + 40);
  EXPECT_EQ(plan.arena_bytes, 64u);
}

TEST(MemoryPlannerTest, PartsOfABucketLieOutsideTheArena) {
  MemoryProblem p;
  p.values = {{40, 0, 2}, {24, 1, 2}, {64, 2, 3, Kind::kBucket}};
  p.places = {{0, 2, 0, 2}, {1, 2, 40, 2}};
  const MemoryPlan plan = PlanMemory(p);
  EXPECT_EQ(plan.locations[1].base, 2);
  EXPECT_EQ(plan.locations[1].offset, 40u);
  EXPECT_EQ(plan.arena_bytes, 0u);
}

TEST(MemoryPlannerTest, APartThatOutlivesItsWholeIsLeftAlone) {
  MemoryProblem p;
  p.values = {{40, 0, 5}, {64, 2, 3, Kind::kBucket}, {24, 0, 2, Kind::kFixed}};
  p.places = {{0, 1, 0, 2}, {2, 1, 40, 2}};
  EXPECT_EQ(PlanMemory(p).placed, (std::vector<bool>{false, false}));
}

TEST(MemoryPlannerTest, ATensorUsedTwiceInAWholeIsPlacedOnce) {
  MemoryProblem p;
  p.values = {{32, 0, 2}, {64, 2, 3}};
  p.places = {{0, 1, 0, 2}, {0, 1, 32, 2}};
  EXPECT_EQ(PlanMemory(p).placed, (std::vector<bool>{true, false}));
}

TEST(MemoryPlannerTest, ADeadInputMovesToWhereTheOutputMustLie) {
  MemoryProblem p;  // 0 -> 1 (in place) -> 2, a bucket
  p.values = {{64, 0, 1}, {64, 1, 2}, {128, 2, 3, Kind::kBucket}};
  p.places = {{1, 2, 64, 2}};
  p.in_place = {{1, 0, 1, {}}};
  const MemoryPlan plan = PlanMemory(p);
  EXPECT_TRUE(plan.in_place[0]);
  EXPECT_EQ(plan.locations[0].base, 2);
  EXPECT_EQ(plan.locations[0].offset, 64u);
}

TEST(MemoryPlannerTest, ADeadBucketIsWrittenOver) {
  MemoryProblem p;
  p.values = {{128, 1, 2, Kind::kBucket}, {128, 2, 4}};
  p.in_place = {{1, 0, 2, {}}};
  const MemoryPlan plan = PlanMemory(p);
  EXPECT_TRUE(plan.in_place[0]);
  EXPECT_EQ(plan.locations[1].base, 0);
}

// Random problems: replays each step and checks that no value is overwritten
// between its definition and its last use, except by what was asked for.
class RandomPlanTest : public testing::TestWithParam<int> {};

TEST_P(RandomPlanTest, NoTwoLivingTensorsOverlap) {
  std::mt19937 rng(GetParam());
  auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(rng);
  };
  const int count = 120;
  MemoryProblem p;
  std::vector<std::vector<int>> inputs(count);
  for (int i = 0; i < count; ++i) {
    Value v;
    v.bytes = pick(0, 3) ? pick(1, 6) * 48 : pick(0, 900);
    v.defined = v.last_use = i;
    v.kind = pick(0, 20) == 0 ? Kind::kFixed : pick(0, 20) == 0 ? Kind::kBucket : Kind::kArena;
    v.keep = pick(0, 15) == 0;
    for (int k = i ? pick(0, 3) : 0; k > 0; --k) {
      const int in = std::max(0, i - pick(1, 12));
      if (std::find(inputs[i].begin(), inputs[i].end(), in) == inputs[i].end()) {
        inputs[i].push_back(in);
      }
    }
    p.values.push_back(v);
    for (int in : inputs[i]) p.values[in].last_use = i;
  }
  std::vector<bool> alias(count, false);
  for (int i = 0; i < count; ++i) {
    if (p.values[i].kind == Kind::kFixed || inputs[i].empty()) continue;
    if (p.values[i].kind == Kind::kArena && pick(0, 6) == 0) {
      p.values[i].bytes = p.values[inputs[i][0]].bytes;
      p.aliases.push_back({i, inputs[i][0]});
      alias[i] = true;
      continue;
    }
    if (pick(0, 5) == 0) {
      size_t offset = 0;
      for (int in : inputs[i]) {
        p.places.push_back({in, i, offset, i});
        offset += p.values[in].bytes;
      }
      p.values[i].bytes = offset;
      continue;
    }
    for (int in : inputs[i]) {
      if (pick(0, 1)) p.values[i].bytes = p.values[in].bytes;
    }
    for (int in : inputs[i]) {
      MemoryProblem::InPlace wish{i, in, i, {}};
      for (int other : inputs[i]) {
        if (other != in) wish.others.push_back(other);
      }
      p.in_place.push_back(wish);
    }
  }
  const MemoryPlan plan = PlanMemory(p);

  // Memory as a map from byte to the value that owns it.
  std::map<int, std::vector<int>> memory;
  auto bytes_of = [&](int v) -> std::vector<int>& {
    auto& m = memory[plan.locations[v].base];
    if (m.size() < 1 << 18) m.resize(1 << 18, -1);
    return m;
  };
  std::vector<int> root(count);
  for (int i = 0; i < count; ++i) root[i] = i;
  for (const auto& a : p.aliases) root[a.out] = root[a.in];
  auto placed_in = [&](int part, int whole) {
    for (size_t k = 0; k < p.places.size(); ++k) {
      if (plan.placed[k] && p.places[k].parent == whole && root[p.places[k].value] == root[part]) {
        return true;
      }
    }
    return false;
  };
  for (int i = 0; i < count; ++i) {
    if (p.values[i].kind == Kind::kFixed) {
      auto& m = bytes_of(i);
      std::fill_n(m.begin() + plan.locations[i].offset, p.values[i].bytes, root[i]);
    }
  }
  for (int i = 0; i < count; ++i) {
    for (int in : inputs[i]) {
      auto& m = bytes_of(in);
      for (size_t b = 0; b < p.values[in].bytes; ++b) {
        ASSERT_EQ(m[plan.locations[in].offset + b], root[in])
            << "step " << i << " reads " << in << ", seed " << GetParam();
      }
    }
    if (alias[i]) continue;
    auto& m = bytes_of(i);
    for (size_t b = 0; b < p.values[i].bytes; ++b) {
      int& owner = m[plan.locations[i].offset + b];
      if (owner >= 0 && p.values[owner].kind == Kind::kFixed) {
        ASSERT_EQ(owner, i) << "step " << i << " writes over fixed memory";
      }
      if (owner >= 0 && p.values[owner].keep && !placed_in(owner, i)) {
        ASSERT_EQ(owner, i) << "step " << i << " writes over what is kept";
      }
      owner = i;
    }
    ASSERT_LE(plan.locations[i].base < 0 ? plan.locations[i].offset + p.values[i].bytes : 0,
              plan.arena_bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomPlanTest, testing::Range(0, 100));

}  // namespace
}  // namespace tributary

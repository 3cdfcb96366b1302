#include "distribute/ps/placement.h"

#include <gmock/gmock.h>

namespace tributary::ps {
namespace {

std::vector<PlacedPart> Place(const std::vector<VariableShape>& v, int servers,
                              const std::string& name, const OptionNode& options) {
  return PlaceVariables(v, servers, Partitioners().Make(name, options));
}

int64_t PartsOf(const std::vector<PlacedPart>& parts, int variable) {
  return std::count_if(parts.begin(), parts.end(),
                       [&](const PlacedPart& p) { return p.variable == variable; });
}

// tf.distribute.experimental.partitioners, docstrings.
TEST(Placement, PartitionersCutAsTensorFlowsDo) {
  const std::vector<VariableShape> v = {{"a", {16, 512}}, {"small", {3}}, {"scalar", {}}};
  const auto fixed = Place(v, 2, "Fixed", {{"num_shards", 5}});
  EXPECT_EQ(PartsOf(fixed, 0), 5);
  EXPECT_EQ(PartsOf(fixed, 1), 3) << "never more parts than rows";
  EXPECT_EQ(PartsOf(fixed, 2), 1);
  // 32 KiB in parts of at least 8 KiB: four, or as many as there are servers.
  EXPECT_EQ(PartsOf(Place(v, 8, "MinSize", {{"min_shard_bytes", 8192}}), 0), 4);
  EXPECT_EQ(PartsOf(Place(v, 2, "MinSize", {{"min_shard_bytes", 8192}}), 0), 2);
  EXPECT_EQ(PartsOf(Place(v, 8, "MinSize", {{"min_shard_bytes", 8192}, {"max_shards", 3}}), 0), 3);
  EXPECT_EQ(PartsOf(Place(v, 1, "MaxSize", {{"max_shard_bytes", 8192}}), 0), 4);
  EXPECT_EQ(PartsOf(Place(v, 1, "MaxSize", {{"max_shard_bytes", 5000}}), 0), 8);
  EXPECT_EQ(PartsOf(Place(v, 1, "MaxSize", {{"max_shard_bytes", 1}, {"max_shards", 6}}), 0), 6);
}

TEST(Placement, PartsTileTheirVariables) {
  for (const int64_t rows : {1, 2, 7, 100}) {
    for (const int shards : {1, 3, 8}) {
      int64_t at = 0, least = rows, most = 0;
      for (const PlacedPart& p : Place({{"v", {rows, 3}}}, 4, "Fixed", {{"num_shards", shards}})) {
        EXPECT_EQ(p.begin, at);
        at = p.end;
        least = std::min(least, p.end - p.begin);
        most = std::max(most, p.end - p.begin);
      }
      EXPECT_EQ(at, rows);
      EXPECT_LE(most - least, 1);
    }
  }
}

TEST(Placement, BalancesBytesNotCounts) {
  // Round robin would give one server 1000 of 1300 rows.
  std::vector<VariableShape> v = {{"big", {1000, 8}}};
  for (int i = 0; i < 30; ++i) v.push_back({"w" + std::to_string(i), {10 * (i % 3 + 1), 8}});
  for (const int servers : {2, 3}) {
    std::vector<int64_t> load(servers);
    for (const PlacedPart& p : Place(v, servers, "MinSize", {{"min_shard_bytes", 4096}})) {
      load[p.server] += (p.end - p.begin) * 8;
    }
    const auto [low, high] = std::minmax_element(load.begin(), load.end());
    EXPECT_LE(*high, 1.05 * *low) << servers;
  }
}

TEST(Placement, OptimizersWithNormsKeepVariablesWhole) {
  EXPECT_EQ(Place({{"v", {100, 3}, false}}, 4, "Fixed", {{"num_shards", 4}}).size(), 1u);
}

TEST(Placement, IsTheSameInEveryProcess) {
  std::vector<VariableShape> v;
  for (int i = 0; i < 20; ++i) v.push_back({"w" + std::to_string(i), {64, 64}});
  const auto a = Place(v, 3, "Fixed", {{"num_shards", 2}}), b = Place(v, 3, "Fixed", {{"num_shards", 2}});
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].server, b[i].server);
  EXPECT_EQ(a[0].server, 0);
  EXPECT_EQ(a[1].server, 1);
}

}  // namespace
}  // namespace tributary::ps

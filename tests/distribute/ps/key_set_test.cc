// Ids told apart and grouped, and gradients summed by id.

#include "distribute/ps/key_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "distribute/ps/sharding.h"

namespace tributary::ps {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <typename Id>
void Build(KeySet* set, const std::vector<Id>& ids, int servers) {
  set->Build(std::span<const Id>(ids), servers);
}

// What a key set promises of any batch.
template <typename Id>
void ExpectTellsApart(const KeySet& set, const std::vector<Id>& ids, int servers) {
  std::vector<uint64_t> expected;  // in the order of first appearance
  std::set<uint64_t> known;
  for (const Id id : ids) {
    if (id >= 0 && known.insert(static_cast<uint64_t>(id)).second) {
      expected.push_back(static_cast<uint64_t>(id));
    }
  }
  ASSERT_EQ(set.servers(), servers);
  ASSERT_EQ(set.size(), static_cast<int64_t>(expected.size()));
  for (int s = 0; s < servers; ++s) {
    std::vector<uint64_t> own;
    std::copy_if(expected.begin(), expected.end(), std::back_inserter(own),
                 [&](uint64_t id) { return ServerOfRow(id, servers) == s; });
    EXPECT_EQ(std::vector(set.unique(s).begin(), set.unique(s).end()), own);
    EXPECT_EQ(set.unique(s).data(), set.unique().data() + set.begin(s));
  }
  ASSERT_EQ(set.local().size(), ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0) {
      EXPECT_EQ(set.local()[i], -1);
    } else {
      ASSERT_EQ(set.unique()[set.local()[i]], static_cast<uint64_t>(ids[i]));
    }
  }
}

TEST(KeySet, TellsIdsApartInTheOrderOfTheirFirstAppearance) {
  KeySet set;
  Build<int64_t>(&set, {7, 9, 7, -1, 4}, 1);
  EXPECT_THAT(set.unique(), ElementsAre(7, 9, 4));
  EXPECT_THAT(set.local(), ElementsAre(0, 1, 0, -1, 2));
  EXPECT_EQ(set.begin(0), 0);
}

template <typename Id>
class KeySetOf : public testing::Test {};
using Ids = testing::Types<int32_t, int64_t>;
TYPED_TEST_SUITE(KeySetOf, Ids);

TYPED_TEST(KeySetOf, AgreesWithTheSimplestWayOnRandomBatches) {
  std::mt19937_64 random(3);
  KeySet set;  // used again and again, for larger and smaller batches
  for (const size_t count : {1000u, 3u, 5000u, 40u, 5000u}) {
    for (const int servers : {1, 2, 3, 16}) {
      std::vector<TypeParam> ids(count);
      for (TypeParam& id : ids) id = static_cast<TypeParam>(random() % (count / 2 + 1)) - 1;
      Build(&set, ids, servers);
      ExpectTellsApart(set, ids, servers);
    }
  }
}

TYPED_TEST(KeySetOf, TakesIdsOfEverySize) {
  const TypeParam most = std::numeric_limits<TypeParam>::max();
  const std::vector<TypeParam> ids = {most, 0, most, static_cast<TypeParam>(most - 1),
                                      std::numeric_limits<TypeParam>::min(), -1, 0};
  KeySet set;
  Build(&set, ids, 3);
  ExpectTellsApart(set, ids, 3);
}

TEST(KeySet, IsEmptyWhereThereAreNoIds) {
  KeySet set;
  EXPECT_EQ(set.size(), 0);
  Build<int64_t>(&set, {1, 2, 3}, 2);
  Build<int64_t>(&set, {}, 3);
  ExpectTellsApart<int64_t>(set, {}, 3);
  EXPECT_THAT(set.local(), IsEmpty());
  Build<int32_t>(&set, {-1, -5}, 2);
  EXPECT_THAT(set.unique(), IsEmpty());
  EXPECT_THAT(set.local(), ElementsAre(-1, -1));
}

TEST(KeySet, KeepsManyDifferentIdsApart) {
  std::vector<int64_t> ids(200'000);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int64_t>(i << 20);
  KeySet set;
  Build(&set, ids, 1);
  EXPECT_EQ(set.size(), 200'000);
  ExpectTellsApart(set, ids, 1);
}

// --- Sums ------------------------------------------------------------------------------

class CombineRowsOf : public testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Widths, CombineRowsOf, testing::Values(1, 3, 8, 16, 17, 32, 64));

// The same additions in the same order: the same bits.
TEST_P(CombineRowsOf, AddsInTheOrderOfTheBatch) {
  const int64_t width = GetParam();
  std::mt19937 random(5);
  for (const int64_t rows : {1, 7, 300}) {
    std::vector<int32_t> local(1000);
    for (int32_t& l : local) l = static_cast<int32_t>(random() % (rows + 1)) - 1;
    std::vector<float> grads(local.size() * static_cast<size_t>(width));
    for (float& g : grads) g = static_cast<float>(random() >> 8) * 0x1p-24f - 0.5f;
    std::vector<float> expected(static_cast<size_t>(rows * width), 0.0f);
    for (size_t i = 0; i < local.size(); ++i) {
      for (int64_t j = 0; local[i] >= 0 && j < width; ++j) {
        expected[local[i] * width + j] += grads[i * static_cast<size_t>(width) + j];
      }
    }
    std::vector<float> sums(expected.size() + 1, 77.0f);  // overwritten, and no further
    CombineRows(local, grads.data(), width, rows, sums.data());
    EXPECT_EQ(sums.back(), 77.0f);
    sums.pop_back();
    ASSERT_EQ(sums, expected);
  }
}

TEST_P(CombineRowsOf, ClearsRowsWithoutAGradient) {
  const int64_t width = GetParam();
  const std::vector<int32_t> local = {-1, 2, -1};
  std::vector<float> grads(3 * static_cast<size_t>(width), 0.5f);
  std::vector<float> sums(4 * static_cast<size_t>(width), 9.0f);
  CombineRows(local, grads.data(), width, 4, sums.data());
  for (size_t i = 0; i < sums.size(); ++i) {
    EXPECT_EQ(sums[i], static_cast<int64_t>(i) / width == 2 ? 0.5f : 0.0f);
  }
  CombineRows({}, nullptr, width, 4, sums.data());
  EXPECT_EQ(sums, std::vector<float>(sums.size(), 0.0f));
}

}  // namespace
}  // namespace tributary::ps

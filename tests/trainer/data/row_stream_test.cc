#include "trainer/data/row_stream.h"

#include "core/base/errors.h"

namespace tributary::data {
namespace {

using Rows = std::vector<int64_t>;

std::vector<Rows> Pass(RowStream* stream, uint64_t pass) {
  stream->StartPass(pass);
  std::vector<Rows> elements;
  Rows rows(stream->width());
  for (int64_t n; (n = stream->Next(rows.data())) != RowStream::kEnd;) {
    elements.emplace_back(rows.begin(), rows.begin() + n);
  }
  return elements;
}

Rows Flat(const std::vector<Rows>& elements) {
  Rows flat;
  for (const Rows& rows : elements) flat.insert(flat.end(), rows.begin(), rows.end());
  return flat;
}

Rows Range(int64_t count) {
  Rows rows(count);
  for (int64_t i = 0; i < count; ++i) rows[i] = i;
  return rows;
}

TEST(RowStream, ShuffleOfAllIsAPermutationThatChangesWithPassAndSeed) {
  auto stream = ShuffleRows(SequentialRows(100), 100, 7, true);
  const Rows first = Flat(Pass(stream.get(), 0));
  const Rows second = Flat(Pass(stream.get(), 1));
  EXPECT_NE(first, Range(100));
  EXPECT_NE(first, second);
  EXPECT_THAT(first, ::testing::UnorderedElementsAreArray(Range(100)));
  EXPECT_THAT(second, ::testing::UnorderedElementsAreArray(Range(100)));
  EXPECT_EQ(Flat(Pass(stream.get(), 0)), first);
  auto other = ShuffleRows(SequentialRows(100), 100, 8, true);
  EXPECT_NE(Flat(Pass(other.get(), 0)), first);
  auto once = ShuffleRows(SequentialRows(100), 100, 7, false);
  EXPECT_EQ(Flat(Pass(once.get(), 5)), first);
}

TEST(RowStream, ShuffleIsUniformOverPositions) {
  // Row 0's place over 3000 passes of 10 rows: chi-squared with 9 degrees of
  // freedom is below 33.7 with probability 0.9999, and the seed is fixed.
  auto stream = ShuffleRows(SequentialRows(10), 10, 1, true);
  std::array<int, 10> counts{};
  for (int pass = 0; pass < 3000; ++pass) {
    const Rows rows = Flat(Pass(stream.get(), pass));
    ++counts[std::find(rows.begin(), rows.end(), 0) - rows.begin()];
  }
  double chi = 0;
  for (int count : counts) chi += (count - 300.0) * (count - 300.0) / 300.0;
  EXPECT_LT(chi, 33.7);
}

TEST(RowStream, SmallShuffleBufferKeepsRowsNearTheirPlace) {
  auto stream = ShuffleRows(SequentialRows(1000), 10, 3, true);
  const Rows rows = Flat(Pass(stream.get(), 0));
  EXPECT_THAT(rows, ::testing::UnorderedElementsAreArray(Range(1000)));
  EXPECT_NE(rows, Range(1000));
  // tf.data: position p draws from rows 0 ... p + buffer - 1.
  for (int64_t p = 0; p < 1000; ++p) EXPECT_LT(rows[p], p + 10);
}

TEST(RowStream, ShuffleAfterBatchMovesWholeBatches) {
  auto stream = ShuffleRows(BatchRows(SequentialRows(10), 3, false), 10, 1, true);
  const auto batches = Pass(stream.get(), 0);
  EXPECT_THAT(batches, ::testing::UnorderedElementsAre(Rows{0, 1, 2}, Rows{3, 4, 5},
                                                       Rows{6, 7, 8}, Rows{9}));
}

TEST(RowStream, TakeSkipShardRepeatBatchFollowTfData) {
  EXPECT_EQ(Flat(Pass(TakeRows(SequentialRows(5), 3).get(), 0)), (Rows{0, 1, 2}));
  EXPECT_EQ(Flat(Pass(TakeRows(SequentialRows(5), 9).get(), 0)), Range(5));
  EXPECT_EQ(Flat(Pass(SkipRows(SequentialRows(5), 3).get(), 0)), (Rows{3, 4}));
  EXPECT_TRUE(Pass(SkipRows(SequentialRows(5), 9).get(), 0).empty());
  EXPECT_EQ(Flat(Pass(ShardRows(SequentialRows(7), 1, 3).get(), 0)), (Rows{1, 4}));
  EXPECT_EQ(Flat(Pass(RepeatRows(SequentialRows(2), 3).get(), 0)), (Rows{0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(Flat(Pass(TakeRows(RepeatRows(SequentialRows(2), -1), 5).get(), 0)),
            (Rows{0, 1, 0, 1, 0}));
  EXPECT_TRUE(Pass(RepeatRows(SequentialRows(0), -1).get(), 0).empty());
  EXPECT_EQ(Pass(BatchRows(SequentialRows(5), 2, false).get(), 0),
            (std::vector<Rows>{{0, 1}, {2, 3}, {4}}));
  EXPECT_EQ(Pass(BatchRows(SequentialRows(5), 2, true).get(), 0),
            (std::vector<Rows>{{0, 1}, {2, 3}}));
}

TEST(RowStream, RepeatedPassesAreShuffledAnew) {
  auto once = ShuffleRows(SequentialRows(20), 20, 1, true);
  auto twice = RepeatRows(ShuffleRows(SequentialRows(20), 20, 1, true), 2);
  Rows expected = Flat(Pass(once.get(), 0));
  const Rows next = Flat(Pass(once.get(), 1));
  expected.insert(expected.end(), next.begin(), next.end());
  EXPECT_EQ(Flat(Pass(twice.get(), 0)), expected);
}

class PartOfBatchTest : public ::testing::TestWithParam<int> {};

TEST_P(PartOfBatchTest, PartsOfAllRanksMakeTheGlobalBatch) {
  const int ranks = GetParam();
  for (int64_t rows : {1, 7, 64, 65, 66}) {
    auto whole = BatchRows(ShuffleRows(SequentialRows(rows), rows, 3, true), 12, false);
    const auto expected = Pass(whole.get(), 2);
    std::vector<Rows> joined(expected.size());
    for (int rank = 0; rank < ranks; ++rank) {
      auto part = PartOfBatch(
          BatchRows(ShuffleRows(SequentialRows(rows), rows, 3, true), 12, false), rank, ranks);
      const auto got = Pass(part.get(), 2);
      ASSERT_EQ(got.size(), expected.size());
      for (size_t i = 0; i < got.size(); ++i) {
        joined[i].insert(joined[i].end(), got[i].begin(), got[i].end());
        EXPECT_LE(static_cast<int64_t>(got[i].size()), part->width());
      }
    }
    EXPECT_EQ(joined, expected);
  }
}
INSTANTIATE_TEST_SUITE_P(Ranks, PartOfBatchTest, ::testing::Values(1, 2, 3, 4, 5, 8, 13));

TEST(RowStream, BadArgumentsAreRefused) {
  EXPECT_THROW(ShuffleRows(SequentialRows(1), 0, 0, true), InvalidArgumentError);
  EXPECT_THROW(BatchRows(SequentialRows(1), 0, true), InvalidArgumentError);
  EXPECT_THROW(BatchRows(SequentialRows(1), int64_t{1} << 40, true), InvalidArgumentError);
  EXPECT_THROW(BatchRows(BatchRows(SequentialRows(1), 2, false), 2, false), UnimplementedError);
  EXPECT_THROW(TakeRows(SequentialRows(1), -1), InvalidArgumentError);
  EXPECT_THROW(SkipRows(SequentialRows(1), -1), InvalidArgumentError);
  EXPECT_THROW(RepeatRows(SequentialRows(1), -2), InvalidArgumentError);
  EXPECT_THROW(ShardRows(SequentialRows(1), 2, 2), InvalidArgumentError);
  EXPECT_THROW(PartOfBatch(SequentialRows(1), -1, 2), InvalidArgumentError);
}

}  // namespace
}  // namespace tributary::data

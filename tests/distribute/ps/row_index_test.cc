#include "distribute/ps/row_index.h"

#include <map>

#include "core/base/philox.h"

namespace tributary::ps {
namespace {

// Of a few buckets each may have been passed by an entry: a search must end all the same.
TEST(RowIndex, FindsWhatIsThereWhileRowsComeAndGo) {
  for (const uint64_t most : {3, 20, 60, 300}) {
    RowIndex index;
    std::map<uint64_t, uint32_t> expected;
    uint32_t next_row = 0;
    for (uint64_t turn = 0; turn < 20'000; ++turn) {
      const uint64_t bits = MixSeed(most, turn);
      if (expected.size() < most) {
        const uint64_t id = bits % (4 * most);
        if (index.Find(RowIndex::Hash(id), id) == RowIndex::kNone) {
          index.Insert(RowIndex::Hash(id), id, next_row);
          expected[id] = next_row++;
        }
      } else {
        const auto victim = std::next(expected.begin(), static_cast<int64_t>(bits % most));
        ASSERT_EQ(index.Erase(RowIndex::Hash(victim->first), victim->first), victim->second);
        expected.erase(victim);
      }
      const uint64_t probe = (bits >> 20) % (5 * most);
      const auto there = expected.find(probe);
      ASSERT_EQ(index.Find(RowIndex::Hash(probe), probe),
                there == expected.end() ? RowIndex::kNone : there->second);
      ASSERT_EQ(index.Erase(RowIndex::Hash(~probe), ~probe), RowIndex::kNone);
      ASSERT_EQ(index.size(), expected.size());
    }
  }
}

}  // namespace
}  // namespace tributary::ps

// The table against a plain map of rows; rows that come and go; the bits of everything.

#include "distribute/ps/embedding_table.h"

#include <gmock/gmock.h>

#include <random>

#include "core/base/errors.h"
#include "trainer/model/initializer.h"

namespace tributary::ps {
namespace {

using ::testing::HasSubstr;

TableSpec Spec(int64_t width, const std::string& optimizer = "SGD") {
  TableSpec spec;
  spec.id = 1;
  spec.name = "items";
  spec.width = width;
  spec.seed = 7;
  spec.optimizer = {optimizer, {{"learning_rate", "0.1"}}};
  return spec;
}

std::vector<float> Row(EmbeddingTable& table, uint64_t id) {
  std::vector<float> out(table.width());
  table.Lookup(std::span(&id, 1), out.data());
  return out;
}

void PushOne(EmbeddingTable& table, uint64_t id, float gradient, double rate = 0.1) {
  const std::vector<float> grad(table.width(), gradient);
  table.Push(std::span(&id, 1), grad.data(), rate);
}

std::map<uint64_t, std::vector<float>> Contents(EmbeddingTable& table) {
  std::map<uint64_t, std::vector<float>> rows;
  table.ForEachRow([&](const EmbeddingTable::SavedRow& r) {
    rows[r.id].assign(r.values, r.values + table.row_floats());
    rows[r.id].push_back(static_cast<float>(r.seen));
    rows[r.id].push_back(static_cast<float>(r.frequency));
  });
  return rows;
}

TEST(RowIndex, FindsWhatAMapFindsThroughInsertionsErasuresAndGrowth) {
  RowIndex index;
  std::map<uint64_t, uint32_t> twin;
  std::mt19937_64 random(3);
  for (uint32_t step = 0; step < 60'000; ++step) {
    const uint64_t id = random() % 9000 * 0x100000001ull;
    const uint64_t hash = RowIndex::Hash(id);
    const auto it = twin.find(id);
    ASSERT_EQ(index.Find(hash, id), it == twin.end() ? RowIndex::kNone : it->second);
    if (it == twin.end()) {
      index.Insert(hash, id, step);
      twin[id] = step;
    } else if (step % 3 == 0) {
      ASSERT_EQ(index.Erase(hash, id), it->second);
      twin.erase(it);
    }
    ASSERT_EQ(index.size(), twin.size());
  }
  std::map<uint64_t, uint32_t> seen;
  index.ForEach([&](uint64_t id, uint32_t row) { EXPECT_TRUE(seen.emplace(id, row).second); });
  EXPECT_TRUE(seen == twin);
  // By ranges of hashes, each exactly once.
  std::map<uint64_t, uint32_t> ranges;
  for (uint64_t segment = 0; segment < RowIndex::kSegments; ++segment) {
    const uint64_t from = segment << 62, middle = from + (uint64_t{1} << 60);
    const auto add = [&](uint64_t id, uint32_t row) { EXPECT_TRUE(ranges.emplace(id, row).second); };
    index.VisitRange(from, middle, add);
    index.VisitRange(middle + 1, from + ((uint64_t{1} << 62) - 1), add);
  }
  EXPECT_TRUE(ranges == twin);
}

TEST(RowIndex, CostsAtMostNineteenBytesARow) {
  RowIndex index;
  for (uint64_t id = 0; id < 300'000; ++id) {
    index.Insert(RowIndex::Hash(id), id, static_cast<uint32_t>(id));
    if (id > 5000) { ASSERT_LE(index.bytes(), 19.0 * static_cast<double>(id + 1)) << id; }
  }
}

TEST(Sharding, SpreadsNeighboursMultiplesAndHotRangesEvenly) {
  for (const uint64_t stride : {1ull, 4ull, 1ull << 20, 1ull << 40}) {
    for (const int servers : {2, 3, 4, 5, 8}) {
      std::vector<int> load(servers);
      for (uint64_t i = 0; i < 40'000; ++i) ++load[ServerOfRow(i * stride, servers)];
      for (const int l : load) EXPECT_NEAR(l, 40'000 / servers, 40'000 / servers * 0.06);
    }
  }
}

TEST(EmbeddingTable, InitialValuesDependOnSeedTableAndIdAlone) {
  EmbeddingTable a(Spec(16)), b(Spec(16));
  PushOne(a, 5, 0);  // creates row 5, in another order than b
  PushOne(a, 9, 0);
  PushOne(b, 9, 0);
  EXPECT_EQ(Row(a, 9), Row(b, 9));
  EXPECT_EQ(Row(a, 5), Row(b, 5)) << "one has the row, the other has not";
  EXPECT_EQ(b.rows(), 1u) << "a lookup creates nothing";
  EXPECT_NE(Row(a, 5), Row(a, 9));
  TableSpec other = Spec(16);
  other.seed += 1;
  EmbeddingTable c(other);
  EXPECT_NE(Row(a, 5), Row(c, 5));
  for (const float x : Row(a, 77)) EXPECT_TRUE(x >= -0.05f && x < 0.05f);
}

TEST(EmbeddingTable, EveryInitializerIsDefinedAndRepeatable) {
  for (const std::string& name : RowInitializers().Names()) {
    TableSpec spec = Spec(33);
    spec.initializer = {name, {}};
    EmbeddingTable table(spec);
    double sum = 0, squares = 0;
    for (uint64_t id = 0; id < 300; ++id) {
      const auto row = Row(table, id);
      EXPECT_EQ(row, Row(table, id));
      for (const float x : row) sum += x, squares += x * x;
    }
    const double mean = sum / (300 * 33), deviation = std::sqrt(squares / (300 * 33) - mean * mean);
    SCOPED_TRACE(name);
    if (name == "RandomUniform") { EXPECT_NEAR(deviation, 0.1 / std::sqrt(12), 2e-3); }
    if (name == "RandomNormal") { EXPECT_NEAR(deviation, 0.05, 2e-3); }
    if (name == "TruncatedNormal") { EXPECT_NEAR(deviation, 0.05 * 0.8796, 2e-3); }
    if (name == "Ones") { EXPECT_EQ(mean, 1); }
  }
}

// One device makes a whole table, servers make rows as they are used.
TEST(EmbeddingTable, RowsBeginAsTheTrainersTableDoes) {
  for (const std::string& name : RowInitializers().Names()) {
    SCOPED_TRACE(name);
    for (const int64_t width : {1, 3, 8}) {
      TableSpec spec = Spec(width);
      spec.initializer = {name, {}};
      EmbeddingTable table(spec);
      const Tensor whole = Initializers().Make(name, OptionNode::Map())
                               ->Make({50, width}, DType::kFloat32, spec.seed);
      for (uint64_t id = 0; id < 50; ++id) {
        const auto row = Row(table, id);
        for (int64_t i = 0; i < width; ++i) {
          ASSERT_EQ(row[i], whole.data<float>()[id * width + i]) << id << " " << i;
        }
      }
    }
  }
}

TEST(EmbeddingTable, PushesFollowTheRuleForEveryOptimizer) {
  for (const std::string& name : UpdateRules().Names()) {
    SCOPED_TRACE(name);
    for (const int64_t width : {1, 8, 16, 19}) {
      EmbeddingTable table(Spec(width, name));
      const NamedUpdateRule& rule = table.rule();
      const int kIds = 150;  // more than a group
      std::vector<std::vector<float>> twin;
      for (int i = 0; i < kIds; ++i) {
        twin.push_back(Row(table, i * 31));
        for (const RuleSlot& s : rule.slots) {
          twin[i].insert(twin[i].end(), s.per_row ? 1 : width, s.initial);
        }
      }
      for (int step = 1; step <= 5; ++step) {
        std::vector<uint64_t> ids;
        std::vector<float> grads;
        for (int i = 0; i < kIds; ++i) {
          ids.push_back(i * 31);
          for (int64_t j = 0; j < width; ++j) grads.push_back(std::sin(i + 3.0 * j + step));
          float* w = twin[i].data();
          rule.update({.var = w, .slot0 = w + width, .slot1 = w + 2 * width, .slot2 = w + 3 * width,
                       .grad = grads.data() + i * width},
                      rule.numbers(step, 0.1), 0, width);
        }
        table.Push(ids, grads.data(), 0.1);
      }
      table.ForEachRow([&](const EmbeddingTable::SavedRow& row) {
        EXPECT_EQ(std::vector<float>(row.values, row.values + table.row_floats()),
                  twin[row.id / 31]);
      });
      EXPECT_EQ(table.rows(), kIds);
    }
  }
}

TEST(EmbeddingTable, AnIdThatRepeatsInAPushIsUpdatedTwice) {
  EmbeddingTable once(Spec(16)), twice(Spec(16));
  const std::vector<uint64_t> ids = {4, 8, 4};
  std::vector<float> grads(48, 1.0f);
  twice.Push(ids, grads.data(), 0.1);
  PushOne(once, 4, 1);
  PushOne(once, 4, 1);
  EXPECT_EQ(Row(once, 4), Row(twice, 4));
}

// What idle rows must equal: every row updated in every step.
TEST(EmbeddingTable, AdamCatchesIdleRowsUpAsIfEveryStepHadTouchedThem) {
  for (const std::string name : {"Adam", "AdamW"}) {
    SCOPED_TRACE(name);
    TableSpec spec = Spec(16, name);
    EmbeddingTable table(spec), all(spec);
    std::mt19937 random(5);
    for (int step = 0; step < 1500; ++step) {
      // Row 3 only at first; row 2 seldom; row 1 always; row 4 appears late.
      std::vector<uint64_t> ids = {1};
      if (step < 3) ids.push_back(3);
      if (step % 211 == 7) ids.push_back(2);
      if (step > 1200) ids.push_back(4);
      std::vector<float> grads, every(4 * 16, 0.0f);
      for (const uint64_t id : ids) {
        for (int j = 0; j < 16; ++j) {
          grads.push_back(std::sin(0.1f * step + id + j));
          every[(id - 1) * 16 + j] = grads.back();
        }
      }
      const double rate = 0.01 / (1 + step / 400);
      const std::vector<uint64_t> everybody = {1, 2, 3, 4};
      table.Push(ids, grads.data(), rate);
      all.Push(everybody, every.data(), rate);
      if (step == 700) table.Settle();  // a cut changes nothing
    }
    for (uint64_t id = 1; id <= 4; ++id) {
      const auto a = Row(table, id), b = Row(all, id);
      for (int j = 0; j < 16; ++j) EXPECT_NEAR(a[j], b[j], 2e-6 * (1 + std::abs(b[j]))) << id;
    }
    const auto before = Row(table, 3);
    table.Settle();
    EXPECT_EQ(Row(table, 3), before) << "what a lookup says is what a cut writes";
  }
}

TEST(EmbeddingTable, AdmissionByCountAnswersZerosUntilThen) {
  TableSpec spec = Spec(4);
  spec.policy.admit_after = 3;
  EmbeddingTable table(spec);
  for (int i = 0; i < 3; ++i) {
    PushOne(table, 11, 1);
    EXPECT_EQ(Row(table, 11), std::vector<float>(4)) << i;
  }
  PushOne(table, 11, 1);
  EXPECT_NE(Row(table, 11), std::vector<float>(4));
  EXPECT_EQ(table.rows(), 1u);
  EXPECT_EQ(table.counters().refused, 3u);
}

TEST(EmbeddingTable, AdmissionByProbabilityIsTheSameEachTime) {
  TableSpec spec = Spec(4);
  spec.policy.admit_probability = 0.25;
  EmbeddingTable a(spec), b(spec);
  for (uint64_t id = 0; id < 4000; ++id) {
    PushOne(a, id, 1);
    PushOne(b, id, 1);
  }
  EXPECT_NEAR(static_cast<double>(a.rows()), 1000, 90);
  EXPECT_TRUE(Contents(a) == Contents(b));
}

TEST(EmbeddingTable, RowsThatAreNotPushedAnyMoreGo) {
  TableSpec spec = Spec(4);
  spec.policy.evict_after = 50;
  EmbeddingTable table(spec);
  std::vector<uint64_t> ids(1000);
  std::iota(ids.begin(), ids.end(), 0);
  std::vector<float> grads(4000, 0.5f);
  table.Push(ids, grads.data(), 0.1);
  for (int i = 0; i < 49; ++i) PushOne(table, 3, 1);
  EXPECT_EQ(table.rows(), 1000u);
  for (int i = 0; i < 30; ++i) PushOne(table, 3, 1);
  EXPECT_EQ(table.rows(), 1u);
  EXPECT_EQ(table.counters().evicted, 999u);
  PushOne(table, 77, 1);  // memory of the dead is used again
  EXPECT_EQ(table.rows(), 2u);
}

TEST(EmbeddingTable, RareRowsGoAfterTheirGrace) {
  TableSpec spec = Spec(4);
  spec.policy.min_frequency = 3;
  spec.policy.grace = 20;
  EmbeddingTable table(spec);
  for (int i = 0; i < 3; ++i) PushOne(table, 1, 1);
  PushOne(table, 2, 1);
  for (int i = 0; i < 80; ++i) PushOne(table, 3, 1);
  EXPECT_EQ(Contents(table).size(), 2u);
  EXPECT_FALSE(Contents(table).contains(2));
}

TEST(EmbeddingTable, StaysWithinItsBytesWhileIdsChurn) {
  TableSpec spec = Spec(16, "Adagrad");
  spec.policy.max_bytes = 1 << 20;
  EmbeddingTable table(spec);
  std::mt19937_64 random(1);
  for (int step = 0; step < 300; ++step) {
    std::vector<uint64_t> ids;
    for (int i = 0; i < 500; ++i) ids.push_back(i < 50 ? i : random());
    std::vector<float> grads(ids.size() * 16, 0.1f);
    table.Push(ids, grads.data(), 0.1);
    ASSERT_LE(table.bytes(), (1 << 20) * 1.05);
  }
  EXPECT_GT(table.bytes(), (1 << 20) * 0.8);
  EXPECT_GT(table.counters().evicted, 100'000u);
  const auto rows = Contents(table);
  for (uint64_t id = 0; id < 50; ++id) EXPECT_TRUE(rows.contains(id)) << "hot row " << id;
}

// A replay starts from saved rows, in another order and an index of another history.
TEST(EmbeddingTable, GoesOnFromSavedRowsWithTheSameBits) {
  for (const std::string name : {"SGD", "Adagrad", "Adam", "RowWiseAdagrad"}) {
    SCOPED_TRACE(name);
    TableSpec spec = Spec(8, name);
    spec.policy.max_bytes = 200'000;
    spec.policy.evict_after = 40;
    spec.policy.admit_after = 1;
    EmbeddingTable live(spec), restored(spec);
    std::mt19937_64 random(2);
    const auto step = [&](EmbeddingTable& table, std::mt19937_64& r) {
      std::vector<uint64_t> ids;
      for (int i = 0; i < 400; ++i) ids.push_back(r() % 6000);
      std::vector<float> grads(ids.size() * 8);
      for (float& g : grads) g = static_cast<float>(r() % 100) / 100.0f - 0.5f;
      table.Push(ids, grads.data(), 0.05);
    };
    for (int i = 0; i < 100; ++i) step(live, random);
    live.Settle();
    restored.RestoreState(live.state());
    std::vector<EmbeddingTable::SavedRow> rows;
    live.ForEachRow([&](const EmbeddingTable::SavedRow& r) { rows.push_back(r); });
    std::reverse(rows.begin(), rows.end());
    for (const auto& r : rows) restored.RestoreRow(r);
    restored.admission().Restore(live.admission().counters(), live.admission().since_halved());
    auto again = random;
    for (int i = 0; i < 100; ++i) {
      step(live, random);
      step(restored, again);
    }
    EXPECT_GT(live.counters().evicted, 1000u);
    EXPECT_TRUE(Contents(live) == Contents(restored));
  }
}

TEST(EmbeddingTable, RefusesSpecsThatMakeNoSense) {
  EXPECT_THROW(EmbeddingTable(Spec(0)), InvalidArgumentError);
  EXPECT_THROW(EmbeddingTable(Spec(1 << 20)), InvalidArgumentError);
  EXPECT_THROW(EmbeddingTable(Spec(4, "Adamm")), NotFoundError);
  TableSpec spec = Spec(4);
  spec.policy.max_bytes = 100;
  EXPECT_THROW(EmbeddingTable{spec}, InvalidArgumentError);
  spec = Spec(4);
  spec.optimizer.values = {{"momentom", "0.9"}};
  EXPECT_THROW(EmbeddingTable{spec}, InvalidArgumentError);
}

// Each reserves addresses for all that it may ever hold.
TEST(EmbeddingTable, ThereIsRoomForHundreds) {
  std::vector<std::unique_ptr<EmbeddingTable>> tables;
  for (int i = 0; i < 300; ++i) tables.push_back(std::make_unique<EmbeddingTable>(Spec(64, "Adam")));
  const std::vector<uint64_t> ids = {7, 1'000'000'007};
  std::vector<float> first(2 * 64), last(2 * 64);
  tables.front()->Lookup(ids, first.data());
  tables.back()->Lookup(ids, last.data());
  EXPECT_EQ(first, last);
  PushOne(*tables.back(), 7, 0);
  EXPECT_EQ(tables.back()->rows(), 1u);
}

}  // namespace
}  // namespace tributary::ps

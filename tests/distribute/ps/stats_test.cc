#include "distribute/ps/stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <regex>
#include <set>

#include "core/base/strings.h"
#include "core/io/env.h"
#include "distribute/ps/protocol.h"
#include "tests/distribute/ps/ps_harness.h"
#include "tests/temp_dir.h"

namespace tributary::ps {
namespace {

using ::testing::HasSubstr;

// A page as the exposition format 0.0.4 has it; whatever departs from it is a failure.
class StrictPage {
 public:
  explicit StrictPage(const std::string& text) {
    EXPECT_TRUE(EndsWith(text, "\n"));
    for (const std::string& line : Split(text.substr(0, text.size() - 1), '\n')) Read(line);
    for (const auto& [name, type] : types_) {
      if (type == "histogram") CheckHistogram(name);
    }
  }
  // By name and labels as they stand: `up{a="b"}`.
  double Value(const std::string& series) const {
    EXPECT_TRUE(values_.contains(series)) << series;
    return values_.contains(series) ? values_.at(series) : -1;
  }
  bool Has(const std::string& series) const { return values_.contains(series); }
  const std::map<std::string, std::string>& types() const { return types_; }

 private:
  void Read(const std::string& line) {
    static const std::regex help(R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (\S.*))");
    static const std::regex type(
        R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped))");
    static const std::regex sample(
        R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_][a-zA-Z0-9_]*=)re"
        R"re("([^"\\\n]|\\[\\"n])*",?)*\})? )re"
        R"re(([+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?|NaN|[+-]Inf))re");
    std::smatch match;
    if (std::regex_match(line, match, help)) {
      EXPECT_TRUE(helps_.insert(match[1]).second) << "twice: " << line;
    } else if (std::regex_match(line, match, type)) {
      EXPECT_TRUE(helps_.contains(match[1])) << line;
      EXPECT_TRUE(types_.emplace(match[1], match[2]).second) << "twice: " << line;
      family_ = match[1];
    } else if (std::regex_match(line, match, sample)) {
      std::string name = match[1];
      if (types_[family_] == "histogram") {
        for (const char* part : {"_bucket", "_sum", "_count"}) {
          if (name == family_ + part) name = family_;
        }
      }
      EXPECT_EQ(name, family_) << "not below its TYPE: " << line;
      EXPECT_TRUE(StartsWith(name, "tributary_ps_")) << line;
      EXPECT_EQ(types_[family_] == "counter", EndsWith(name, "_total")) << line;
      const std::string series = line.substr(0, line.rfind(' '));
      EXPECT_TRUE(values_.emplace(series, std::stod(match[5])).second) << "twice: " << line;
      order_.push_back(series);
    } else {
      ADD_FAILURE() << "no line of the format: " << line;
    }
  }

  // Buckets rise in bound and in count, and end with +Inf, which is the count; of each table,
  // where they are of tables, one after another.
  void CheckHistogram(const std::string& name) {
    double bound = -1, count = 0;
    std::string labels;  // of a histogram that has begun
    int ended = 0;
    for (const std::string& series : order_) {
      if (!StartsWith(series, name + "_bucket{")) continue;
      const size_t begin = series.find('{') + 1, at = series.rfind(",le=\"");
      const std::string own = series.substr(begin, at - begin);
      const std::string le = series.substr(at + 5, series.size() - at - 7);
      EXPECT_TRUE(labels.empty() || labels == own) << series;
      labels = own;
      const double next = le == "+Inf" ? HUGE_VAL : std::stod(le);
      EXPECT_GT(next, bound) << series;
      EXPECT_GE(values_.at(series), count) << series;
      bound = next;
      count = values_.at(series);
      if (le != "+Inf") continue;
      EXPECT_EQ(count, Value(name + "_count{" + own + "}"));
      EXPECT_TRUE(values_.contains(name + "_sum{" + own + "}"));
      bound = -1;
      count = 0;
      labels.clear();
      ++ended;
    }
    EXPECT_TRUE(labels.empty()) << name;
    EXPECT_TRUE(ended == 1 || name.find("_table_") != std::string::npos) << name;
  }

  std::set<std::string> helps_;
  std::map<std::string, std::string> types_;
  std::map<std::string, double> values_;
  std::vector<std::string> order_;
  std::string family_;
};

// A server after some traffic of worker 3.
std::unique_ptr<PsServer> Busy(std::string table = "items") {
  auto ps = std::make_unique<PsServer>(PsServerOptions{});
  Client w(ps.get(), 3);
  w.Join();
  w.Control(kCreateVariable, DenseSpec(1, {2}));
  TableSpec spec = RowsSpec(2, 4);
  spec.name = std::move(table);
  w.Control(kCreateTable, spec);
  std::vector<uint64_t> ids(1000, 42);
  for (size_t i = 0; i < ids.size(); i += 2) ids[i] = i;
  const auto push =
      w.Push(0, Parts().Rows(2, ids, std::vector<float>(4000, 0.1f)).Dense(1, {1, 1}));
  w.Resend(push);
  w.Pull(1, Parts().PullRows(2, ids).PullRows(2, {5000, 5001}).PullDense(1, 2));
  return ps;
}

TEST(PrometheusText, EveryLineIsOfTheFormat) {
  const StrictPage page(PrometheusText(Busy()->stats()));
  const std::string items = "{shard=\"0\",table=\"items\"}";
  EXPECT_EQ(page.Value("tributary_ps_rows" + items), 500);
  EXPECT_GT(page.Value("tributary_ps_bytes" + items), 500 * 4 * 4);
  EXPECT_EQ(page.Value("tributary_ps_pulls_total" + items), 2);
  EXPECT_EQ(page.Value("tributary_ps_pulled_keys_total" + items), 1002);
  EXPECT_EQ(page.Value("tributary_ps_pull_hits_total" + items), 1000);
  EXPECT_NEAR(page.Value("tributary_ps_hit_rate" + items), 1000.0 / 1002, 1e-9);
  EXPECT_EQ(page.Value("tributary_ps_rows_created_total" + items), 500);
  EXPECT_GE(page.Value("tributary_ps_hot_key_samples{shard=\"0\",table=\"items\",key=\"42\"}"), 5);
  EXPECT_EQ(page.Value("tributary_ps_rows{shard=\"0\",table=\"dense1[0:2]\"}"), 2);
  EXPECT_FALSE(page.Has("tributary_ps_hit_rate{shard=\"0\",table=\"dense1[0:2]\"}"));
  EXPECT_EQ(page.Value("tributary_ps_worker_steps{shard=\"0\",worker=\"3\"}"), 1);
  EXPECT_EQ(page.Value("tributary_ps_worker_duplicates_total{shard=\"0\",worker=\"3\"}"), 1);
  EXPECT_EQ(page.Value("tributary_ps_pull_seconds_count{shard=\"0\"}"), 1);
  EXPECT_EQ(page.Value("tributary_ps_push_seconds_count{shard=\"0\"}"), 2);
  EXPECT_GT(page.Value("tributary_ps_push_seconds_sum{shard=\"0\"}"), 0);
  EXPECT_EQ(page.Value("tributary_ps_staleness_count{shard=\"0\"}"), 1);
  EXPECT_EQ(page.Value("tributary_ps_table_pull_seconds_count" + items), 2);
  EXPECT_EQ(page.Value("tributary_ps_table_push_seconds_count" + items), 1);
  EXPECT_GT(page.Value("tributary_ps_table_push_seconds_sum" + items), 0);
  EXPECT_EQ(page.Value("tributary_ps_table_staleness_count" + items), 1);
  EXPECT_EQ(page.Value("tributary_ps_dense_pull_seconds_count{shard=\"0\"}"), 1);
  EXPECT_EQ(page.Value("tributary_ps_dense_push_seconds_count{shard=\"0\"}"), 1);
  EXPECT_EQ(page.Value("tributary_ps_dense_staleness_count{shard=\"0\"}"), 1);
  EXPECT_FALSE(
      page.Has("tributary_ps_table_staleness_count{shard=\"0\",table=\"dense1[0:2]\"}"));
  EXPECT_GT(page.Value("tributary_ps_resident_bytes{shard=\"0\"}"), 1 << 20);
}

TEST(PrometheusText, NothingIsAPageToo) { StrictPage(PrometheusText({})); }

TEST(PrometheusText, StrangeNamesBreakNoLine) {
  const std::string page = PrometheusText(
      Busy("a\"b\\c\nd\xc3\xa4\xff\xe4\xbd z\xed\xa0\x80\xc0\x80")->stats());
  const StrictPage strict(page);
  const std::string name = "a\\\"b\\\\c\\nd\xc3\xa4??? z?????";
  EXPECT_EQ(strict.Value("tributary_ps_rows{shard=\"0\",table=\"" + name + "\"}"), 500);
}

TEST(PrometheusText, AllNamesAreListedInTheReadme) {
  const std::string readme =
      ReadFile(PosixEnv(), TRIBUTARY_SOURCE_DIR "/distribute/metrics/README.md");
  const StrictPage page(PrometheusText({}));
  EXPECT_GT(page.types().size(), 30u);
  for (const auto& [name, type] : page.types()) {
    EXPECT_THAT(readme, HasSubstr(fmt::format("| `{}` | {} |", name, type)));
  }
}

// A server, two workers that have joined, a variable of one element.
struct TwoInSync {
  TwoInSync() {
    a.Join();
    b.Join();
    a.Control(kCreateVariable, DenseSpec(1, {1}));
  }
  PsServer ps{{.consistency = {.mode = Consistency::kSync, .workers = 2}}};
  Client a{&ps, 0}, b{&ps, 1};
};

TEST(PsServerStats, TellWhoWaitsNow) {
  TwoInSync job;
  auto& [ps, a, b] = job;
  const auto push = a.Push(0, Parts().Dense(1, {1}));
  ASSERT_FALSE(push->answered);
  ServerStats s = ps.stats();
  EXPECT_EQ(s.waiting, 1u);
  EXPECT_GT(s.workers[0].waiting_seconds, 0);
  EXPECT_EQ(s.workers[0].waited_seconds, 0);
  EXPECT_EQ(s.workers[1].waiting_seconds, 0);
  b.Push(0, Parts().Dense(1, {1}));
  s = ps.stats();
  EXPECT_EQ(s.workers[0].waiting_seconds, 0);
  EXPECT_GT(s.workers[0].waited_seconds, 0);
}

const TableStats& TableOf(const ServerStats& stats, const std::string& name) {
  for (const TableStats& t : stats.tables) {
    if (t.name == name) return t;
  }
  throw NotFoundError("{}", name);
}

TEST(PsServerStats, EachTableHasItsOwnTimeAndStaleness) {
  PsServer ps{PsServerOptions{}};
  Client fast(&ps, 0), slow(&ps, 1);
  fast.Join();
  slow.Join();
  for (const uint32_t id : {1, 2}) fast.Control(kCreateVariable, DenseSpec(id, {1}));
  for (const uint32_t id : {3, 4, 5}) fast.Control(kCreateTable, RowsSpec(id, 1));
  const auto push = [&](int64_t step, const Parts& parts) {
    fast.Pull(step, Parts().PullRows(3, {1}));
    fast.Push(step, parts);
  };
  push(0, Parts().Dense(1, {1}).Rows(3, {1}, {1}).Dense(2, {1}).Rows(3, {2}, {1}));
  push(1, Parts().Dense(1, {1}).Dense(2, {1}));
  push(2, Parts().Rows(4, {1}, {1}));
  push(3, Parts());
  fast.Pull(4, Parts().PullDense(1, 1).PullDense(2, 1).PullRows(4, {1, 2}));
  const ServerStats s = ps.stats();
  const PartStats a = TableOf(s, "table3").parts, b = TableOf(s, "table4").parts;
  EXPECT_EQ(a.pull_us.count(), 4u);
  EXPECT_EQ(a.push_us.count(), 2u) << "each lookup by itself";
  EXPECT_EQ(a.staleness[0], 2u);
  EXPECT_EQ(b.pull_us.count(), 1u);
  EXPECT_EQ(b.push_us.count(), 1u);
  EXPECT_EQ(b.staleness[2], 1u);
  EXPECT_EQ(b.staleness[0], 0u);
  EXPECT_EQ(TableOf(s, "table5").parts.push_us.count(), 0u) << "a step passes it by";
  EXPECT_EQ(s.dense.pull_us.count(), 1u) << "one after another they count as one";
  EXPECT_EQ(s.dense.push_us.count(), 3u);
  EXPECT_EQ(s.dense.staleness[0], 1u);
  EXPECT_EQ(s.dense.staleness[1], 1u);
  EXPECT_EQ(s.staleness[3], 1u);
  // What the parts took is a part of what requests took.
  EXPECT_LE(a.push_us.sum() + b.push_us.sum() + s.dense.push_us.sum(), s.push_us.sum());
  EXPECT_LE(a.pull_us.sum() + b.pull_us.sum() + s.dense.pull_us.sum(), s.pull_us.sum());
}

TEST(PsServerStats, InSyncModeATableIsPushedToOnceAStep) {
  TwoInSync job;
  auto& [ps, a, b] = job;
  for (const uint32_t id : {2, 3, 4}) a.Control(kCreateTable, RowsSpec(id, 1));
  a.Push(0, Parts().Rows(3, {1}, {1}).Dense(1, {1}).Rows(2, {1}, {1}));
  EXPECT_EQ(TableOf(ps.stats(), "table2").parts.push_us.count(), 0u) << "it only waits";
  b.Push(0, Parts().Rows(3, {1}, {1}).Dense(1, {1}));
  // Worker 1 leaves: its step is complete by its eviction.
  a.Push(1, Parts().Rows(2, {1}, {1}));
  a.Control(kEvict, EvictControl{.worker = 1, .generation = 2});
  const ServerStats s = ps.stats();
  EXPECT_EQ(s.applied_steps, 2);
  EXPECT_EQ(TableOf(s, "table2").parts.push_us.count(), 2u);
  EXPECT_EQ(TableOf(s, "table3").parts.push_us.count(), 1u);
  EXPECT_EQ(TableOf(s, "table4").parts.push_us.count(), 0u);
  EXPECT_EQ(s.dense.push_us.count(), 1u);
  EXPECT_EQ(TableOf(s, "table2").parts.staleness[0], 2u);
  EXPECT_EQ(TableOf(s, "table3").parts.staleness[0], 2u);
}

TEST(PsServerStats, WhatALogBroughtBackIsNoWorkOfTheWorkers) {
  const TempDir dir("stats");
  const PsServerOptions options{.dir = dir.path()};
  {
    PsServer ps(options);
    ps.Begin();
    Client w(&ps, 0);
    w.Join();
    w.Control(kCreateTable, RowsSpec(1, 1));
    for (int64_t step = 0; step < 3; ++step) w.Push(step, Parts().Rows(1, {1}, {1}));
    EXPECT_EQ(ps.stats().tables[0].parts.push_us.count(), 3u);
  }
  PsServer again(options);
  EXPECT_GT(again.Recover(), 3u);
  const ServerStats s = again.stats();
  EXPECT_EQ(s.tables[0].updates, 3u);
  EXPECT_EQ(s.tables[0].pushes, 0u);
  EXPECT_EQ(s.tables[0].parts.push_us.count(), 0u);
}

TEST(ServerStatsMessage, ComesOutAsItWentIn) {
  const ServerStats s = Busy()->stats();
  const std::string packed = Pack(s);
  const auto back = Unpack<ServerStats>(AsBytes(packed), "stats");
  EXPECT_EQ(PrometheusText(back), PrometheusText(s));
}

TEST(LatencyHistogram, TellsWhatCameSinceAndTogether) {
  LatencyHistogram h;
  for (int i = 0; i < 100; ++i) h.Add(10);
  const LatencyHistogram before = h;
  for (int i = 0; i < 100; ++i) h.Add(1000);
  const LatencyHistogram since = h.Since(before);
  EXPECT_EQ(since.count(), 100u);
  EXPECT_DOUBLE_EQ(since.sum(), 100'000);
  EXPECT_NEAR(since.Quantile(0.01), 1000, 200);
  LatencyHistogram both = before;
  both.Add(since);
  EXPECT_EQ(both.buckets(), h.buckets());
  EXPECT_EQ(LatencyHistogram().Quantile(0.5), 0);
  // Each bucket holds what is between its bounds.
  for (size_t i = 0; i + 1 < LatencyHistogram::kBuckets; ++i) {
    LatencyHistogram one;
    one.Add(LatencyHistogram::UpperBound(i) * 0.9999);
    one.Add(LatencyHistogram::UpperBound(i) * 1.0001);
    EXPECT_EQ(one.buckets()[i], 1u) << i;
    EXPECT_EQ(one.buckets()[i + 1], 1u) << i;
  }
  LatencyHistogram ends;
  for (const double us : {-1.0, 0.0, 0.05}) ends.Add(us);
  for (const double us : {1e300, HUGE_VAL}) ends.Add(us);
  EXPECT_EQ(ends.buckets().front(), 3u);
  EXPECT_EQ(ends.buckets().back(), 2u);
  EXPECT_NEAR(h.Quantile(0), 10, 2) << "no empty bucket holds a quantile";
}

TEST(HotKeys, FindsTheFewAndClaimsNothingOfTheMany) {
  HotKeys keys;
  for (uint64_t i = 0; i < 20'000; ++i) {
    keys.Add(1000 + i);  // each once
    if (i % 10 == 0) keys.Add(7);
    if (i % 20 == 0) keys.Add(8);
  }
  const auto top = keys.Top(3);
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0].key, 7u);
  EXPECT_EQ(top[1].key, 8u);
  EXPECT_LE(top[2].at_least(), 2u) << "an id that came once is not hot";
}

}  // namespace
}  // namespace tributary::ps

// `tributary ps top`: its figures, their text, and the command against real servers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/strings.h"
#include "distribute/ps/protocol.h"
#include "distribute/ps/ps_client.h"
#include "distribute/ps/ps_server.h"
#include "launch/ps_top/render.h"
#include "tests/launch/cli/call.h"
#include "tests/temp_dir.h"

namespace tributary {
namespace {

using nlohmann::json;
using ps::HotKeys;
using ps::ServerStats;
using ps::TableStats;
using ps::WorkerStats;
using ::testing::HasSubstr;
using ::testing::Not;

// Two servers that have been up for ten seconds: a table on both, a variable in two parts.
std::vector<PsSample> TwoServers() {
  ServerStats a{.shard = 0, .shards = 2, .uptime_seconds = 10, .applied_steps = 100};
  a.waiting = 1;
  a.log_bytes = 3 << 20;
  a.resident_bytes = uint64_t{2} << 30;
  for (int i = 0; i < 100; ++i) a.pull_us.Add(20), a.push_us.Add(300);
  a.staleness = {90, 10, 0};
  a.tables = {
      TableStats{.name = "user", .rows_table = true, .rows = 1000, .bytes = 64'000, .pulls = 100,
                 .pushes = 100, .pulled_keys = 61'000, .pushed_keys = 6'000, .hits = 30'500,
                 .created = 1000, .evicted = 5, .hot = {{42, 110, 10}, {7, 50, 0}}},
      TableStats{.name = "kernel[0:2]", .rows = 20, .bytes = 160, .pulls = 100, .pushes = 100,
                 .pulled_keys = 2000, .pushed_keys = 2000}};
  for (int i = 0; i < 100; ++i) a.tables[0].parts.pull_us.Add(4), a.dense.pull_us.Add(2);
  a.tables[0].parts.staleness = a.dense.staleness = {90, 10, 0};
  a.workers = {WorkerStats{.worker = 0, .generation = 1, .steps = 100, .active = true,
                           .pushes = 100, .waits = 4, .waited_seconds = 1, .waiting_seconds = 1.5},
               WorkerStats{.worker = 1, .generation = 2, .steps = 98, .active = true,
                           .pushes = 98, .duplicates = 3},
               WorkerStats{.worker = 2, .generation = 5, .steps = 40}};
  ServerStats b = a;
  b.shard = 1;
  b.applied_steps = 99;
  b.waiting = 0;
  b.tables[0].hot = {{9, 200, 0}};
  b.tables[1].name = "kernel[2:4]";
  b.workers[0].waiting_seconds = 0;
  return {{.address = "tcp://10.0.0.1:4000", .stats = a},
          {.address = "tcp://10.0.0.2:4000", .stats = b}};
}

// Both two seconds later.
std::vector<PsSample> Later() {
  std::vector<PsSample> later = TwoServers();
  for (PsSample& s : later) {
    s.stats.uptime_seconds += 2;
    s.stats.applied_steps += 20;
    s.stats.tables[0].pulls += 20;
    s.stats.tables[0].pulled_keys += 1000;
    s.stats.tables[0].hits += 900;
    s.stats.workers[0].steps += 20;
    s.stats.workers[1].waited_seconds += 0.5;
    s.stats.pull_us.Add(5000);
    s.stats.staleness[2] += 4;
    ps::PartStats& user = s.stats.tables[0].parts;
    for (int i = 0; i < 99; ++i) user.pull_us.Add(30);
    user.pull_us.Add(900);
    user.push_us.Add(60);
    user.staleness[1] += 3;
    user.staleness[2] += 1;
    s.stats.dense.push_us.Add(7);
  }
  return later;
}

TEST(PsTopFigures, AreRatesBetweenTwoLooksAndSumsOverServers) {
  const PsFigures f = Summarize(Later(), TwoServers());
  EXPECT_EQ(f.answered, 2);
  EXPECT_EQ(f.applied_steps, 119);
  EXPECT_DOUBLE_EQ(f.steps_per_second, 10);
  EXPECT_EQ(f.staleness_p50, 2) << "of the interval, not of all time";
  ASSERT_EQ(f.tables.size(), 2u);
  const TableFigures& user = f.tables[0];
  EXPECT_EQ(user.name, "user");
  EXPECT_EQ(user.servers, 2);
  EXPECT_EQ(user.rows, 2000u);
  EXPECT_EQ(user.evicted, 10u);
  EXPECT_DOUBLE_EQ(user.pulls_per_second, 20);
  EXPECT_DOUBLE_EQ(user.pulled_keys_per_second, 1000);
  EXPECT_DOUBLE_EQ(user.pushed_keys_per_second, 0);
  EXPECT_DOUBLE_EQ(user.hit_rate, 0.9);
  ASSERT_EQ(user.hot.size(), 3u);
  EXPECT_EQ(user.hot[0].key, 9u);
  EXPECT_EQ(user.hot[1].key, 42u);
  EXPECT_NEAR(user.hot[1].share, 6100.0 / 124'000, 1e-9) << "what is certain, not the estimate";
  EXPECT_NEAR(user.parts.pulls.p50_us, 30, 5) << "of the interval, and of both servers";
  EXPECT_NEAR(user.parts.pulls.p99_us, 30, 5);
  EXPECT_NEAR(user.parts.pushes.p99_us, 60, 10);
  EXPECT_EQ(user.parts.staleness_p50, 1);
  EXPECT_EQ(user.parts.staleness_p99, 2);
  EXPECT_DOUBLE_EQ(f.dense.pushes.per_second, 1);
  EXPECT_NEAR(f.dense.pushes.p50_us, 7, 1.5);
  EXPECT_FALSE(f.dense.pushed);
  EXPECT_EQ(f.tables[1].name, "kernel");
  EXPECT_EQ(f.tables[1].rows, 40u);
  ASSERT_EQ(f.workers.size(), 3u);
  EXPECT_DOUBLE_EQ(f.workers[0].steps_per_second, 10);
  EXPECT_DOUBLE_EQ(f.workers[0].waiting_seconds, 1.5);
  EXPECT_DOUBLE_EQ(f.workers[1].stalled, 0.25);
  EXPECT_DOUBLE_EQ(f.workers[1].waited_seconds, 0.5);
  EXPECT_EQ(f.workers[1].retries, 6u);
  EXPECT_FALSE(f.workers[2].active);
  EXPECT_DOUBLE_EQ(f.servers[0].pulls.per_second, 0.5);
  EXPECT_NEAR(f.servers[0].pulls.p50_us, 5000, 1000);
  EXPECT_DOUBLE_EQ(f.servers[0].pushes.per_second, 0);
}

TEST(PsTopFigures, AServerThatBeganAnewCountsFromItsStart) {
  std::vector<PsSample> now = Later();
  now[1].stats.uptime_seconds = 4;  // less than before
  const PsFigures f = Summarize(now, TwoServers());
  EXPECT_DOUBLE_EQ(f.servers[1].interval_seconds, 4);
  EXPECT_DOUBLE_EQ(f.servers[1].steps_per_second, 119.0 / 4);
  EXPECT_DOUBLE_EQ(Summarize(now, {}).servers[0].interval_seconds, 12);
}

TEST(PsTopText, IsATableOfEach) {
  std::vector<PsSample> now = Later();
  now.push_back({.address = "tcp://10.0.0.3:4000", .error = "nobody is there"});
  EXPECT_EQ(RenderPsFigures(Summarize(now, TwoServers())),
            R"(2 of 3 servers, step 119 (10.0/s), 2 workers, 125.3 KiB of weights, staleness p50 2 p99 2 steps

SERVER ADDRESS                          STEP  PULLS/S  P50 US  P99 US PUSHES/S  P50 US  P99 US
0      tcp://10.0.0.1:4000               120      0.5    5054    5054      0.0       -       -
1      tcp://10.0.0.2:4000               119      0.5    5054    5054      0.0       -       -
?      tcp://10.0.0.3:4000         does not answer: nobody is there

SERVER     MEMORY        LOG  WAITING  RETRIES    LATE  FENCED  NOT FIN  ERRORS
0         2.0 GiB    3.0 MiB        1        0       0       0        0       0
1         2.0 GiB    3.0 MiB        0        0       0       0        0       0

TABLE                           ROWS      BYTES  PULLS/S P50 US P99 US PUSHES/S P50 US P99 US  STALE
user                            2000  125.0 KiB     20.0     28     28      0.0     56     56    1/2
(all dense)                       40      320 B      0.0      -      -      1.0      7      7      -
kernel                            40      320 B      0.0                    0.0

TABLE                       PULLED/S   PUSHED/S   HITS  EVICTED  REFUSED  HOT KEYS
user                            1000          0  90.0%       10        0  9 9.8%, 42 4.9%, 7 2.5%

WORKER  GEN      STEP  STEPS/S  STALLED     WAITS  WAITED S  RETRIES  STATE
0         1       120     10.0     0.0%         8       1.0        0  waits 1.5 s
1         2        98      0.0    25.0%         0       0.5        6  active
2         5        40      0.0     0.0%         0       0.0        0  evicted
)");
}

TEST(PsTopText, FitsInAHundredColumns) {
  std::vector<PsSample> now = Later();
  for (PsSample& s : now) {
    s.address = "tcp://192.168.100.100:65535";
    TableStats& t = s.stats.tables[0];
    t.name = "a_table_of_a_name_that_is_longer_than_its_column";
    t.rows = 1'000'000'000;
    t.bytes = uint64_t{1023} << 20;
    t.evicted = 10'000'000;
    t.hot = {{UINT64_MAX, 500, 0}, {UINT64_MAX - 1, 400, 0}};
    t.pulls += 100'000;
    s.stats.workers[1].duplicates = 1'000'000;
  }
  now[0].stats.tables[0].parts.staleness[2] = 1'000'000;
  const std::vector<std::string> lines = Split(RenderPsFigures(Summarize(now, TwoServers())), '\n');
  for (const std::string& line : lines) EXPECT_LE(line.size(), 100u) << line;
  EXPECT_THAT(lines, testing::Contains(AllOf(HasSubstr(fmt::format("  {} ", UINT64_MAX)),
                                             Not(HasSubstr(", ")))))
      << "one hot key at least";
}

TEST(PsTopText, LongListsAreCutAtWhatMattersLess) {
  std::vector<PsSample> now = Later();
  now.resize(1);
  for (uint32_t w = 3; w < 60; ++w) {
    now[0].stats.workers.push_back({.worker = w, .steps = w, .active = true});
  }
  for (int t = 0; t < 30; ++t) {
    now[0].stats.tables.push_back({.name = fmt::format("bias{}[0:1]", t), .bytes = 4});
  }
  const std::string text = RenderPsFigures(Summarize(now, {}), 5);
  EXPECT_THAT(text, HasSubstr("and 27 more (--json lists all)"));
  EXPECT_THAT(text, HasSubstr("and 55 more that are further"));
  EXPECT_THAT(text, HasSubstr("\n7 "));
  EXPECT_THAT(text, Not(HasSubstr("\n8 ")));
  EXPECT_EQ(PsFiguresJson(Summarize(now, {}))["workers"].size(), 60u);
}

TEST(PsTopText, NamesDoNotSteerTheTerminal) {
  std::vector<PsSample> now = Later();
  now[0].stats.tables[0].name = "a\x1b[2J\nb\xc2\x9b";
  now[1] = {.address = "tcp://x:1", .error = "\x1b]0;title\x07"};
  const std::string text = RenderPsFigures(Summarize(now, {}));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("\x07")));
  EXPECT_THAT(text, Not(HasSubstr("\x9b")));
  EXPECT_THAT(text, HasSubstr("a?[2J?b"));
}

// --- The command ------------------------------------------------------------------------

Outcome CallTop(std::vector<std::string> words) {
  words.insert(words.begin(), {"ps", "top"});
  return Call(std::move(words));
}

// Two servers over TCP, and a worker that has taken a step.
class PsTop : public testing::Test {
 protected:
  static constexpr int kServers = 2;

  void SetUp() override {
    for (int s = 0; s < kServers; ++s) {
      shards_.push_back(std::make_unique<ps::PsServer>(
          ps::PsServerOptions{.shard = s, .shards = kServers}));
      ServerOptions options;
      options.hello = {.role = "ps", .task = static_cast<uint32_t>(s), .config_hash = "abc"};
      servers_.push_back(Listen("tcp://127.0.0.1:0", shards_.back()->handler(), options));
    }
    Work();
  }

  void Work() {
    ps::PsClient client({.hello = {.role = "worker", .task = 5, .config_hash = "abc"},
                         .servers = kServers,
                         .find = [this](int s) { return servers_[s]->address(); }});
    client.Join();
    ps::TableSpec table{.id = 1, .name = "items", .width = 4};
    client.CallAll(ps::kCreateTable, ps::Pack(table));
    const std::vector<uint64_t> ids = {1, 2, 3};
    const std::vector<float> grads(12, 0.5f);
    ps::StepExchange step(client.servers());
    step.Begin(ps::kPush, 0, 0.1, ps::kEndOfStep);
    for (int s = 0; s < kServers; ++s) step.PushRows(s, 1, ids, grads);
    client.Run(&step);
  }
  std::string Addresses() const {
    return servers_[0]->address() + "," + servers_[1]->address();
  }

  const TempDir folder_{"ps_top"};
  std::vector<std::unique_ptr<ps::PsServer>> shards_;
  std::vector<std::unique_ptr<Server>> servers_;
};

TEST_F(PsTop, ShowsServersThatAreNamed) {
  const Outcome top = CallTop({"--once", "--every", "0.05", "--servers", Addresses()});
  EXPECT_EQ(top.code, 0) << top.err;
  EXPECT_THAT(top.out, HasSubstr("2 of 2 servers, step 1 (0.0/s), 1 workers"));
  EXPECT_THAT(top.out, HasSubstr(servers_[1]->address()));
  EXPECT_THAT(top.out, HasSubstr("\nitems                              6 "));
  EXPECT_THAT(top.out, HasSubstr("\n5         0         1 "));
  EXPECT_THAT(top.out, Not(HasSubstr("\x1b")));
}

TEST_F(PsTop, IsOneJsonObject) {
  const Outcome top = CallTop({"--once", "--json", "--every", "0.05", "--servers", Addresses()});
  ASSERT_EQ(top.code, 0) << top.err;
  const json o = json::parse(top.out);
  EXPECT_EQ(o["servers_answered"], 2);
  EXPECT_EQ(o["servers"][1]["address"], servers_[1]->address());
  EXPECT_EQ(o["servers"][1]["shard"], 1);
  EXPECT_GT(o["servers"][0]["resident_bytes"], 0);
  EXPECT_EQ(o["tables"][0]["name"], "items");
  EXPECT_EQ(o["tables"][0]["rows"], 6);
  for (const char* figure : {"pull_p50_us", "pull_p99_us", "push_p50_us", "push_p99_us",
                             "staleness_p50_steps", "staleness_p99_steps"}) {
    EXPECT_TRUE(o["tables"][0][figure].is_number()) << figure;
    EXPECT_TRUE(o["dense"][figure].is_number()) << figure;
  }
  EXPECT_EQ(o["workers"][0]["waited_seconds"], 0);
  EXPECT_EQ(o["workers"][0]["worker"], 5);
  EXPECT_EQ(o["workers"][0]["steps"], 1);
}

TEST_F(PsTop, FindsTheServersOfARunByItsFolderOrItsJob) {
  folder_.Write("run/cluster/servers",
                servers_[0]->address() + "\n" + servers_[1]->address() + "\n\n");
  const std::string job = folder_.Write("job.yaml", fmt::format(R"(run_dir: {}/run
data: {{train: {{source: digits, count: 100, batch: 50}}}}
model: [Flatten, {{Dense: {{units: 10}}}}]
loss: SparseCategoricalCrossentropy
)", folder_.path()));
  for (const std::string& run : {folder_.path() + "/run", job}) {
    const Outcome top = CallTop({run, "--once", "--every", "0.05"});
    EXPECT_EQ(top.code, 0) << top.err;
    EXPECT_THAT(top.out, HasSubstr("2 of 2 servers"));
  }
  const Outcome none = CallTop({job, "--once", "--set", "run_dir=" + folder_.path() + "/other"});
  EXPECT_EQ(none.code, 66);
  EXPECT_THAT(none.err, HasSubstr("other/cluster/servers' names no parameter servers"));
  EXPECT_THAT(none.err, HasSubstr("--servers tcp://HOST:PORT"));
  EXPECT_EQ(CallTop({folder_.path() + "/nowhere", "--once"}).code, 66);
}

TEST_F(PsTop, AServerThatIsGoneDoesNotHideTheOthers) {
  const std::string addresses = Addresses(), gone = servers_[1]->address();
  servers_[1].reset();
  const Outcome top = CallTop({"--once", "--every", "0.05", "--servers", addresses});
  EXPECT_EQ(top.code, 0) << top.err;
  EXPECT_THAT(top.out, HasSubstr("1 of 2 servers"));
  EXPECT_THAT(top.out, HasSubstr("does not answer: "));
  const json o = json::parse(
      CallTop({"--once", "--json", "--every", "0.05", "--servers", addresses}).out);
  EXPECT_FALSE(o["servers"][1]["answered"]);
  EXPECT_THAT(o["servers"][1]["error"].get<std::string>(), HasSubstr(gone.substr(6)));
  servers_[0].reset();
  EXPECT_EQ(CallTop({"--once", "--every", "0.05", "--servers", addresses}).code, 69);
}

TEST_F(PsTop, WrongUseIsToldSo) {
  EXPECT_EQ(CallTop({"--once"}).code, 64);
  EXPECT_THAT(CallTop({"--once"}).err, HasSubstr("RUN or --servers"));
  EXPECT_EQ(CallTop({folder_.path(), "--servers", Addresses()}).code, 64);
  EXPECT_EQ(CallTop({"--servers", Addresses(), "--every", "0"}).code, 64);
  EXPECT_THAT(CallTop({"--onse", folder_.path()}).err, HasSubstr("did you mean '--once'?"));
}

}  // namespace
}  // namespace tributary

// A server that is one step ahead answers as it would have before that step: bit by bit, also
// after a restart.

#include <gmock/gmock.h>

#include <random>

#include "core/io/memory_env.h"
#include "distribute/ps/sharding.h"
#include "tests/distribute/ps/ps_driver.h"

namespace tributary::ps {
namespace {

using ::testing::HasSubstr;

// --- A table --------------------------------------------------------------------------

constexpr uint64_t kIds = 300;

std::vector<uint64_t> AllIds() {
  std::vector<uint64_t> ids(kIds);
  for (uint64_t i = 0; i < kIds; ++i) ids[i] = i * 0x9e3779b97f4a7c15;
  return ids;
}

TableSpec SpecOf(const std::string& optimizer, const std::string& policy) {
  TableSpec spec = RowsSpec(1, 4, optimizer);
  if (policy == "churning") {
    spec.policy.max_bytes = 6000;
    spec.policy.evict_after = 9;
  } else if (policy == "admitting") {
    spec.policy.admit_after = 1;
    spec.policy.evict_after = 40;
  }
  return spec;
}

// Few ids often, many seldom: rows idle for one update and for hundreds.
std::vector<uint64_t> SomeIds(std::mt19937_64* random) {
  const std::vector<uint64_t> all = AllIds();
  std::set<uint64_t> some;
  for (int i = 0; i < 12; ++i) {
    const double u = std::uniform_real_distribution<>(0, 1)(*random);
    some.insert(all[static_cast<size_t>(u * u * u * u * static_cast<double>(kIds))]);
  }
  return {some.begin(), some.end()};
}

std::vector<float> SomeFloats(size_t count, std::mt19937_64* random) {
  std::vector<float> floats(count);
  for (float& f : floats) f = static_cast<float>((*random)() % 1000) / 999.0f - 0.5f;
  return floats;
}

class BeforeOfTable : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

INSTANTIATE_TEST_SUITE_P(
    Rules, BeforeOfTable,
    testing::Combine(testing::Values("SGD", "Adagrad", "Adam", "AdamW", "LazyAdam"),
                     testing::Values("plain", "churning", "admitting")),
    [](const auto& test) { return std::get<0>(test.param) + std::get<1>(test.param); });

TEST_P(BeforeOfTable, IsWhatALookupGaveThen) {
  const TableSpec spec = SpecOf(std::get<0>(GetParam()), std::get<1>(GetParam()));
  EmbeddingTable table(spec), plain(spec);
  table.KeepBefore();
  const std::vector<uint64_t> ids = AllIds();
  std::vector<float> then(ids.size() * 4), now(then.size()), before(then.size());
  table.LookupBefore(ids, before.data());
  table.Lookup(ids, now.data());
  EXPECT_EQ(before, now) << "nothing is kept yet";
  std::mt19937_64 random(5);
  uint64_t changed = 0;
  for (int step = 0; step < 500; ++step) {
    std::vector<uint64_t> pushed = SomeIds(&random);
    if (step % 50 == 49) pushed.clear();
    const std::vector<float> grads = SomeFloats(pushed.size() * 4, &random);
    const double rate = 0.1 / (1 + step % 7);
    table.Lookup(ids, then.data());
    table.Push(pushed, grads.data(), rate);
    plain.Push(pushed, grads.data(), rate);
    if (step % 3 == 0) table.Lookup(ids, now.data());
    if (step % 3 == 1) table.LookupBefore(std::span(ids).first(40), before.data());
    if (step % 37 == 0) {  // a cut
      table.Settle();
      plain.Settle();
    }
    table.LookupBefore(ids, before.data());
    ASSERT_EQ(before, then) << step;
    table.Lookup(ids, now.data());
    plain.Lookup(ids, before.data());
    ASSERT_EQ(now, before) << "keeping changes nothing, step " << step;
    changed += now != then;
  }
  EXPECT_GT(changed, 480u);
  if (spec.policy.has_eviction()) { EXPECT_GT(table.counters().evicted, 50u); }
  EXPECT_LE(table.bytes(), plain.bytes() + 40'000);
}

TEST(BeforeOfTable, AnIdThatIsPushedTwiceIsAsItWasBeforeTheFirst) {
  EmbeddingTable table(SpecOf("Adagrad", "plain"));
  table.KeepBefore();
  const std::vector<uint64_t> ids = {7, 8, 7, 9, 7};
  const std::vector<float> grads(20, 0.5f);
  std::vector<float> then(20), before(20);
  for (int i = 0; i < 3; ++i) {
    table.Lookup(ids, then.data());
    table.Push(ids, grads.data(), 0.1);
    table.LookupBefore(ids, before.data());
    EXPECT_EQ(before, then);
  }
}

// --- A server --------------------------------------------------------------------------

std::vector<float> Read(Client* client, int64_t step, uint32_t flags) {
  std::vector<uint64_t> ids;
  for (uint64_t id = 0; id < 700; ++id) ids.push_back(id);
  Parts parts;
  parts.PullDense(1, 21).PullDense(4, 3).PullRows(2, ids).PullRows(3, ids);
  const CallPtr call = client->Step(kPull, step, parts, flags);
  EXPECT_TRUE(call->ok()) << (call->error ? call->error->what() : "waits");
  return call->floats();
}

// Server 0 of two, and both workers' pushes.
struct Twosome {
  MemoryEnv files;
  PsServerOptions options = Options("/log", Consistency::kSync, 0, 2);
  std::unique_ptr<PsServer> server;
  std::vector<Client> workers;
  uint64_t bases = 0;

  explicit Twosome(uint64_t log_limit) {
    options.env = &files;
    options.log_limit = log_limit;
    Restart();
    for (uint32_t w = 0; w < 2; ++w) workers.emplace_back(server.get(), w);
    const std::vector<CallPtr> calls = {
        workers[0].Join(), workers[1].Join(),
        workers[0].Control(kCreateVariable, DenseSpec(1, {7, 3}, "Adam")),
        workers[0].Control(kCreateVariable, DenseSpec(4, {3})),
        workers[0].Control(kCreateTable, ChurningTable()),
        workers[0].Control(kCreateTable, RowsSpec(3, 5, "Adagrad"))};
    for (const CallPtr& call : calls) EXPECT_TRUE(call->ok());
  }
  // Variable 4 has a gradient in every tenth step only.
  void Push(uint32_t worker, int64_t step) {
    std::mt19937_64 random(static_cast<uint64_t>(step) * 2 + worker);
    std::vector<uint64_t> ids, more;
    while (ids.size() < 20) ids.push_back(OwnId(&random, 700));
    while (more.size() < 10) more.push_back(OwnId(&random, 100));
    Parts parts;
    parts.Dense(1, SomeFloats(21, &random)).Rows(2, ids, SomeFloats(80, &random));
    parts.Rows(3, more, SomeFloats(50, &random));
    if (step % 10 == 4) parts.Dense(4, SomeFloats(3, &random));
    workers[worker].Push(step, parts);
  }
  static uint64_t OwnId(std::mt19937_64* random, uint64_t ids) {
    for (;;) {
      const uint64_t id = (*random)() % ids;
      if (ServerOfRow(id, 2) == 0) return id;
    }
  }
  void Restart() {
    if (server) bases += server->stats().bases;
    server = nullptr;
    server = std::make_unique<PsServer>(options);
    server->Recover();
    for (Client& w : workers) w.set_server(server.get());
  }
};

// By the log alone, and by bases that are made whenever something comes.
TEST(BeforeOfServer, IsWhatAPullGaveThenAlsoAfterARestart) {
  for (const uint64_t log_limit : {uint64_t{1} << 30, uint64_t{1}, uint64_t{6000}}) {
    SCOPED_TRACE(log_limit);
    Twosome two(log_limit);
    Client worker(two.server.get(), 1);
    std::vector<float> then = Read(&worker, 0, kAsItWas);
    for (int64_t step = 0; step < 60; ++step) {
      two.Push(0, step);
      two.server->WaitForSave();
      ASSERT_EQ(Read(&worker, step, kAsItWas), then) << "not complete: as it is";
      two.Push(1, step);
      ASSERT_EQ(two.server->shard().applied_steps(), step + 1);
      two.server->WaitForSave();
      if (step % 3 == 1) {
        two.Restart();
        worker.set_server(two.server.get());
      }
      const std::vector<float> now = Read(&worker, step + 1, 0);
      ASSERT_EQ(Read(&worker, step, kAsItWas), then) << step;
      ASSERT_EQ(Read(&worker, step, 0), now) << "who does not ask for it gets what there is";
      ASSERT_NE(now, then);
      then = now;
    }
    if (log_limit < 10'000) { EXPECT_GT(two.bases, 5u); }
  }
}

TEST(BeforeOfServer, VersionsOfOldAndNewWeightsDiffer) {
  Twosome two(0);
  Client worker(two.server.get(), 1);
  const auto pull = [&](int64_t step, uint64_t version, uint32_t flags) {
    return worker.Step(kPull, step, Parts().PullDense(1, 21, version), flags);
  };
  uint64_t old = pull(0, 0, 0)->part(0).version;
  for (int64_t step = 0; step < 4; ++step) {
    for (uint32_t w = 0; w < 2; ++w) two.Push(w, step);
    const uint64_t next = pull(step + 1, old, 0)->part(0).version;
    EXPECT_NE(next, old);
    EXPECT_EQ(pull(step, 0, kAsItWas)->part(0).version, old);
    EXPECT_EQ(pull(step, old, kAsItWas)->part(0).bytes, 0u) << "it has them";
    EXPECT_EQ(pull(step, next, kAsItWas)->part(0).bytes, 84u);
    EXPECT_EQ(pull(step + 1, old, kAsItWas)->part(0).bytes, 84u);
    old = next;
  }
}

TEST(BeforeOfServer, MoreThanOneStepIsRefusedAndSoIsWhatIsNotKept) {
  Twosome two(0);
  Client worker(two.server.get(), 1);
  for (int64_t step = 0; step < 3; ++step) {
    for (uint32_t w = 0; w < 2; ++w) two.Push(w, step);
  }
  const auto refused = [&](int64_t step) {
    const CallPtr call = worker.Step(kPull, step, Parts().PullDense(1, 21), kAsItWas);
    EXPECT_TRUE(call->error);
    return call->error ? std::string(call->error->what()) : "";
  };
  EXPECT_THAT(refused(1), HasSubstr("only the last one can be taken back"));
  Read(&worker, 2, kAsItWas);
  // All servers of a checkpoint are at one step.
  const std::string prefix = JoinPath("/log", "ckpt-1");
  const auto save = worker.Control(kSave, SaveControl{prefix, 0, 1});
  two.server->WaitForSave();
  ASSERT_TRUE(save->ok());
  Read(&worker, 2, kAsItWas);
  // A single server is never ahead of another.
  PsServer alone(Options("", Consistency::kSync));
  Driver driver(&alone);
  for (uint64_t i = 0; i < 2; ++i) driver.Send(i);
  worker.set_server(&alone);
  EXPECT_THAT(refused(0), HasSubstr("none can be taken back"));
}

}  // namespace
}  // namespace tributary::ps

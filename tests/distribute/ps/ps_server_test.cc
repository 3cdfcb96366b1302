// A server driven by its requests: pulls, pushes, exactly once, fences, consistency.

#include "distribute/ps/ps_server.h"

#include <gmock/gmock.h>

#include <limits>
#include <random>

#include "distribute/ps/finite.h"
#include "distribute/ps/sharding.h"
#include "tests/distribute/ps/ps_harness.h"

namespace tributary::ps {
namespace {

using ::testing::HasSubstr;

PsServerOptions Options(Consistency mode, int workers = 1, int64_t staleness = 0, int backup = 0) {
  PsServerOptions o;
  o.consistency = {.mode = mode, .staleness = staleness, .workers = workers, .backup = backup};
  return o;
}

TEST(PsServer, PullsWhatWasAssignedAndPushed) {
  PsServer ps(Options(Consistency::kAsync));
  Client w(&ps, 0);
  ASSERT_TRUE(w.Join()->ok());
  ASSERT_TRUE(w.Control(kCreateVariable, DenseSpec(1, {3, 1}))->ok());
  ASSERT_TRUE(w.Control(kCreateTable, RowsSpec(2, 2))->ok());
  const float initial[] = {1, 2, 3};
  std::string bytes(reinterpret_cast<const char*>(initial), sizeof(initial));
  ASSERT_TRUE(w.Control(kAssign, AssignControl{1, true}, bytes)->ok());
  auto pulled = w.Pull(0, Parts().PullDense(1, 3).PullRows(2, {7, 8, 7}));
  ASSERT_TRUE(pulled->ok());
  const auto before = pulled->floats();
  ASSERT_EQ(before.size(), 3u + 6u);
  EXPECT_EQ(before[0], 1);
  EXPECT_EQ(before[3], before[7]);
  ASSERT_TRUE(w.Push(0, Parts().Dense(1, {1, 0, -1}).Rows(2, {8}, {10, 20}))->ok());
  const auto after = w.Pull(1, Parts().PullDense(1, 3).PullRows(2, {8, 7}))->floats();
  EXPECT_FLOAT_EQ(after[0], 0.9f);
  EXPECT_FLOAT_EQ(after[2], 3.1f);
  EXPECT_FLOAT_EQ(after[3], before[5] - 1);
  EXPECT_FLOAT_EQ(after[4], before[6] - 2);
  EXPECT_EQ(after[5], before[3]);
}

TEST(PsServer, APushAndAPullGoInOneRequest) {
  PsServer ps(Options(Consistency::kSync));
  Client w(&ps, 0);
  w.Join();
  w.Control(kCreateVariable, DenseSpec(1, {2}));
  w.Control(kCreateTable, RowsSpec(2, 2));
  for (int step = 0; step < 3; ++step) {
    const auto reply = w.Step(kPushPull, step,
                              Parts().Dense(1, {1, 2}).Rows(2, {5}, {1, 1}).PullDense(1, 2)
                                  .PullRows(2, {5, 6}));
    ASSERT_TRUE(reply->ok());
    EXPECT_EQ(reply->step().applied_steps, step + 1);
    EXPECT_FLOAT_EQ(reply->floats()[1], -0.2f * (step + 1));
    EXPECT_EQ(reply->floats().size(), 6u);
  }
}

TEST(PsServer, UnchangedPartsAreNotSentAgain) {
  PsServer ps(Options(Consistency::kAsync));
  Client w(&ps, 0);
  w.Join();
  w.Control(kCreateVariable, DenseSpec(1, {4}));
  const auto first = w.Pull(0, Parts().PullDense(1, 4));
  const auto again = w.Pull(0, Parts().PullDense(1, 4, first->part(0).version));
  EXPECT_EQ(again->part(0).bytes, 0u);
  EXPECT_TRUE(again->reply_payload.empty());
  w.Push(0, Parts().Dense(1, {1, 1, 1, 1}));
  const auto changed = w.Pull(1, Parts().PullDense(1, 4, first->part(0).version));
  EXPECT_EQ(changed->part(0).bytes, 16u);
  // A server that was started anew counts from its own numbers.
  PsServer other(Options(Consistency::kAsync));
  Client w2(&other, 0);
  w2.Join();
  w2.Control(kCreateVariable, DenseSpec(1, {4}));
  EXPECT_EQ(w2.Pull(0, Parts().PullDense(1, 4, first->part(0).version))->part(0).bytes, 16u);
}

// --- Exactly once --------------------------------------------------------------------

TEST(PsServer, APushIsAppliedOnceHoweverOftenItComes) {
  PsServer ps(Options(Consistency::kAsync));
  Client w(&ps, 0);
  w.Join();
  w.Control(kCreateVariable, DenseSpec(1, {1}));
  std::mt19937 random(4);
  std::vector<CallPtr> sent;
  double expected = 0;
  for (int step = 0; step < 2000; ++step) {
    const float g = static_cast<float>(step % 7);
    expected -= 0.1 * g;
    sent.push_back(w.Push(step, Parts().Dense(1, {g})));
    for (int i = 0; i < 2; ++i) {  // any of the last 500, as a network may repeat them
      const size_t back = random() % std::min<size_t>(500, sent.size());
      w.Resend(sent[sent.size() - 1 - back]);
      ASSERT_EQ(sent[sent.size() - 1 - back]->step().flags, kDuplicate);
    }
  }
  EXPECT_NEAR(w.Pull(2000, Parts().PullDense(1, 1))->floats()[0], expected, 1e-2);
  EXPECT_EQ(ps.stats().duplicates, 4000u);
  // Far below the window counts as known.
  w.Resend(sent[3]);
  EXPECT_EQ(sent[3]->step().flags, kDuplicate);
}

TEST(PsServer, SequencesMayArriveOutOfOrder) {
  PsServer ps(Options(Consistency::kAsync));
  Client w(&ps, 0);
  w.Join();
  w.Control(kCreateVariable, DenseSpec(1, {1}));
  for (const uint64_t sequence : {3, 1, 2, 5, 3, 4, 1}) {
    w.Step(kPush, 0, Parts().Dense(1, {10}), 0, -1, sequence);
  }
  EXPECT_FLOAT_EQ(w.Pull(1, Parts().PullDense(1, 1))->floats()[0], -5);
}

TEST(PsServer, EarlierLivesOfAWorkerAreFenced) {
  PsServer ps(Options(Consistency::kAsync));
  Client first(&ps, 4, 1), second(&ps, 4, 2), stranger(&ps, 9, 1);
  first.Join();
  first.Control(kCreateVariable, DenseSpec(1, {1}));
  ASSERT_TRUE(first.Push(0, Parts().Dense(1, {1}))->ok());
  ASSERT_TRUE(second.Join(1)->ok());
  const auto stale = first.Push(1, Parts().Dense(1, {100}));
  ASSERT_TRUE(stale->error);
  EXPECT_EQ(stale->error->code(), Code::kFailedPrecondition);
  EXPECT_THAT(stale->error->what(), HasSubstr("fenced"));
  EXPECT_TRUE(first.Join()->error);
  // Sequence numbers begin anew with a generation.
  ASSERT_TRUE(second.Push(1, Parts().Dense(1, {1}))->ok());
  EXPECT_FLOAT_EQ(second.Pull(2, Parts().PullDense(1, 1))->floats()[0], -0.2f);
  EXPECT_THAT(stranger.Push(0, Parts().Dense(1, {1}))->error->what(), HasSubstr("has not joined"));
  // Evicted: the same generation may not come back, a higher one may.
  ASSERT_TRUE(stranger.Control(kEvict, EvictControl{4, 3})->ok());
  EXPECT_TRUE(second.Push(2, Parts().Dense(1, {1}))->error);
  EXPECT_TRUE(second.Join(2)->error);
  EXPECT_TRUE(Client(&ps, 4, 3).Join(2)->ok());
  EXPECT_GE(ps.stats().fenced, 4u);
}

TEST(PsServer, ValuesThatAreNotFiniteChangeNothing) {
  PsServer ps(Options(Consistency::kAsync));
  Client w(&ps, 0);
  w.Join();
  w.Control(kCreateVariable, DenseSpec(1, {100}));
  w.Control(kCreateTable, RowsSpec(2, 4));
  const auto before = ContentsOf(&ps.shard());
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    std::vector<float> gradient(100, 1.0f);
    gradient[97] = bad;
    const auto dense = w.Push(0, Parts().Dense(1, gradient));
    EXPECT_THAT(dense->error->what(), HasSubstr("not finite"));
    const auto rows = w.Push(0, Parts().Dense(1, std::vector<float>(100, 1.0f))
                                    .Rows(2, {1, 2}, {1, 2, 3, 4, 5, 6, 7, bad}));
    EXPECT_THAT(rows->error->what(), HasSubstr("'table2'"));
  }
  EXPECT_TRUE(ContentsOf(&ps.shard()) == before);
  EXPECT_EQ(ps.stats().not_finite, 6u);
  for (int64_t n = 0; n < 200; ++n) {
    std::vector<float> values(n, std::numeric_limits<float>::max());
    EXPECT_TRUE(AllFinite(values.data(), n));
    for (int64_t at = 0; at < n; at += 7) {
      values[at] = -std::numeric_limits<float>::infinity();
      EXPECT_FALSE(AllFinite(values.data(), n));
      values[at] = std::numeric_limits<float>::denorm_min();
    }
  }
}

TEST(PsServer, RefusesWhatDoesNotFit) {
  PsServer ps(Options(Consistency::kAsync));
  Client w(&ps, 0);
  w.Join();
  w.Control(kCreateVariable, DenseSpec(1, {4}));
  w.Control(kCreateTable, RowsSpec(2, 4));
  const auto code = [](const CallPtr& call) {
    return call->error ? call->error->code() : Code::kOk;
  };
  EXPECT_EQ(code(w.Push(0, Parts().Dense(1, {1, 2}))), Code::kInvalidArgument);
  EXPECT_EQ(code(w.Push(0, Parts().Dense(7, {1, 2}))), Code::kNotFound);
  EXPECT_EQ(code(w.Push(0, Parts().Rows(2, {1, 2}, {1}))), Code::kInvalidArgument);
  EXPECT_EQ(code(w.Send(kPush, "short", "", 1)), Code::kInvalidArgument);
  EXPECT_EQ(code(w.Send(kPull, std::string(40, 'x'), "")), Code::kInvalidArgument);
  EXPECT_EQ(code(w.Send(kCreateTable, "garbage", "")), Code::kInvalidArgument);
  EXPECT_EQ(code(w.Send(kCreateTable, "", "")), Code::kInvalidArgument);
  EXPECT_EQ(code(w.Send(999, "", "")), Code::kUnimplemented);
  EXPECT_EQ(code(w.Control(kCreateVariable, DenseSpec(1, {5}))), Code::kAlreadyExists);
  EXPECT_EQ(code(w.Control(kCreateVariable, DenseSpec(1, {4}))), Code::kOk);
  Parts many;
  many.pull.push_back({.target = 2, .kind = PartKind::kRows, .count = uint64_t{1} << 60});
  EXPECT_EQ(code(w.Pull(0, many)), Code::kInvalidArgument);
  VariableSpec huge = DenseSpec(5, {int64_t{1} << 40, int64_t{1} << 40});
  EXPECT_EQ(code(w.Control(kCreateVariable, huge)), Code::kInvalidArgument);
  VariableSpec part = DenseSpec(6, {4}, "Lamb");
  part.end = 2;
  EXPECT_EQ(code(w.Control(kCreateVariable, part)), Code::kInvalidArgument);
}

// --- Consistency ---------------------------------------------------------------------

// Workers of random speed; a worker goes on as soon as its last request is answered, at the
// pace that the answer counts as.
TEST(PsServer, BoundedStalenessIsNeverExceededInAHundredThousandSteps) {
  for (const int64_t bound : {0, 1, 4}) {
    const int kWorkers = 4;
    const int64_t kSteps = bound == 4 ? 100'000 : 5'000;
    PsServer ps(Options(Consistency::kBounded, kWorkers, bound));
    std::vector<Client> clients;
    for (int w = 0; w < kWorkers; ++w) {
      clients.emplace_back(&ps, w);
      clients[w].Join();
    }
    clients[0].Control(kCreateVariable, DenseSpec(1, {1}));
    std::mt19937 random(9);
    std::vector<int64_t> step(kWorkers), pace(kWorkers);
    std::vector<CallPtr> pull(kWorkers);
    int64_t total = 0;
    uint64_t waits = 0;
    while (total < kSteps) {
      const int w = static_cast<int>(random() % 100 < 70 ? random() % 2 : random() % kWorkers);
      if (!pull[w]) {
        clients[w].ahead = pace[w] - step[w];
        pull[w] = clients[w].Pull(step[w], Parts().PullDense(1, 1));
        waits += !pull[w]->answered;
      }
      if (!pull[w]->answered) continue;
      pace[w] = std::max(pace[w], pull[w]->step().pace);
      ASSERT_LE(pace[w], *std::min_element(pace.begin(), pace.end()) + bound);
      clients[w].ahead = pace[w] - step[w];
      ASSERT_TRUE(clients[w].Push(step[w], Parts().Dense(1, {1}))->ok());
      pull[w] = nullptr;
      ++step[w];
      ++pace[w];
      ++total;
    }
    const ServerStats stats = ps.stats();
    uint64_t pushes = 0;
    for (size_t i = 0; i < stats.staleness.size(); ++i) {
      pushes += stats.staleness[i];
      if (static_cast<int64_t>(i) > bound) { EXPECT_EQ(stats.staleness[i], 0u) << i; }
    }
    EXPECT_EQ(pushes, static_cast<uint64_t>(total));
    EXPECT_GT(stats.staleness[bound], 0u) << "the bound was never used";
    EXPECT_GT(waits, 0u);
    EXPECT_NEAR(clients[0].Pull(0, Parts().PullDense(1, 1))->floats()[0], -0.1 * total,
                1e-3 * total);
  }
}

TEST(PsServer, WhatAPullCountsAsIsBounded) {
  PsServer ps(Options(Consistency::kBounded, 3, 2));
  std::vector<Client> w = {{&ps, 0}, {&ps, 1}, {&ps, 2}};
  for (Client& c : w) c.Join();
  w[0].Control(kCreateVariable, DenseSpec(1, {1}));
  const auto pull = [&](int i, int64_t step) {
    return w[i].Pull(step, Parts().PullDense(1, 1));
  };
  EXPECT_EQ(pull(0, 0)->step().pace, 0);
  for (int64_t step = 0; step < 3; ++step) w[0].Push(step, Parts().Dense(1, {1}));
  EXPECT_FALSE(pull(0, 3)->answered) << "two others compute at pace 0";
  w[1].Push(0, Parts().Dense(1, {1}));
  EXPECT_EQ(pull(1, 1)->step().pace, 2) << "0 is at 3, 2 at 0";
  w[1].Control(kPark, ParkControl{.parked = false, .pace = 2});
  const auto waits = pull(0, 3);
  EXPECT_FALSE(waits->answered) << "one other does";
  w[2].Control(kPark, ParkControl{.parked = false, .pace = 1});  // what it had read counts so
  ASSERT_TRUE(waits->ok());
  EXPECT_EQ(waits->step().pace, 3);
  // A step of a pace that was told moves on from there.
  w[1].ahead = 1;
  w[1].Push(1, Parts().Dense(1, {1}));
  w[1].ahead = 0;
  EXPECT_EQ(ps.shard().ledger().entries().at(1).pace, 3);
  EXPECT_EQ(ps.shard().ledger().entries().at(1).clock, 2);
}

// Who was slow has nothing to make up for: others may again be as far ahead of its next step.
TEST(PsServer, ASlowStepHoldsOthersBackOnce) {
  constexpr int64_t kBound = 4;
  PsServer ps(Options(Consistency::kBounded, 2, kBound));
  Client slow(&ps, 0), fast(&ps, 1);
  slow.Join();
  fast.Join();
  slow.Control(kCreateVariable, DenseSpec(1, {1}));
  const Parts push = Parts().Dense(1, {1}), pull = Parts().PullDense(1, 1);
  int64_t steps = 0;
  for (int64_t slow_steps = 0; slow_steps < 5; ++slow_steps) {
    const auto read = slow.Pull(slow_steps, pull);
    ASSERT_TRUE(read->ok());
    slow.ahead = read->step().pace - slow_steps;
    EXPECT_EQ(read->step().pace, steps);
    slow.Control(kPark, ParkControl{.parked = false, .pace = read->step().pace});
    for (int64_t i = 0; i <= kBound; ++i) {
      EXPECT_TRUE(fast.Pull(steps, pull)->ok()) << "after " << slow_steps << " slow steps";
      fast.Push(steps++, push);
    }
    EXPECT_FALSE(fast.Pull(steps, pull)->answered);
    slow.Push(slow_steps, push);
  }
}

TEST(PsServer, AnEvictedWorkerIsWaitedForNoLonger) {
  PsServer ps(Options(Consistency::kBounded, 2, 0));
  Client a(&ps, 0), b(&ps, 1), chief(&ps, 99);
  a.Join();
  b.Join();
  a.Control(kCreateVariable, DenseSpec(1, {1}));
  a.Push(0, Parts().Dense(1, {1}));
  const auto pull = a.Pull(1, Parts().PullDense(1, 1));
  EXPECT_FALSE(pull->answered);
  EXPECT_EQ(ps.stats().waiting, 1u);
  chief.Control(kEvict, EvictControl{1, 2});
  EXPECT_TRUE(pull->ok());
}

// What two servers, or one, or any order of arrival, make of the same steps.
std::map<std::string, std::string> SyncRun(int servers, int workers, uint64_t seed, int backup,
                                           const std::string& optimizer) {
  std::vector<std::unique_ptr<PsServer>> ps;
  for (int s = 0; s < servers; ++s) {
    auto o = Options(Consistency::kSync, workers, 0, backup);
    o.shard = s;
    o.shards = servers;
    ps.push_back(std::make_unique<PsServer>(o));
  }
  std::vector<std::vector<Client>> clients(servers);
  for (int s = 0; s < servers; ++s) {
    for (int w = 0; w < workers; ++w) {
      clients[s].emplace_back(ps[s].get(), w);
      clients[s][w].Join();
    }
    VariableSpec dense = DenseSpec(1, {12, 3}, optimizer);
    dense.begin = 12 * s / servers;
    dense.end = 12 * (s + 1) / servers;
    clients[s][0].Control(kCreateVariable, dense);
    clients[s][0].Control(kCreateTable, RowsSpec(2, 5, optimizer));
  }
  std::mt19937_64 order(seed);
  for (int step = 0; step < 20; ++step) {
    std::vector<std::pair<int, int>> arrivals;  // (server, worker)
    for (int s = 0; s < servers; ++s) {
      for (int w = 0; w < workers - backup; ++w) arrivals.emplace_back(s, w);
    }
    std::shuffle(arrivals.begin(), arrivals.end(), order);
    std::vector<CallPtr> calls;
    for (const auto& [s, w] : arrivals) {
      std::mt19937_64 data(1000 * step + w);  // the same whoever asks
      std::vector<float> dense(36);
      for (float& g : dense) g = static_cast<float>(data() % 1000) / 997.0f - 0.5f;
      std::vector<uint64_t> ids;
      std::vector<float> grads;
      for (int i = 0; i < 30; ++i) {
        const uint64_t id = data() % 50;
        float row[5];
        for (float& g : row) g = static_cast<float>(data() % 1000) / 997.0f - 0.5f;
        if (ServerOfRow(id, servers) != s) continue;
        ids.push_back(id);
        grads.insert(grads.end(), row, row + 5);
      }
      const std::vector<float> part(dense.begin() + 12 * s / servers * 3,
                                    dense.begin() + 12 * (s + 1) / servers * 3);
      // In two pushes: the step ends with the second.
      calls.push_back(clients[s][w].Push(step, Parts().Dense(1, part), 0));
      calls.push_back(clients[s][w].Push(step, Parts().Rows(2, ids, grads)));
      if (order() % 3 == 0) clients[s][w].Resend(calls.back());
    }
    for (const CallPtr& call : calls) {
      EXPECT_TRUE(call->ok()) << step << " " << (call->error ? call->error->what() : "waits");
    }
  }
  std::map<std::string, std::string> gathered;
  for (auto& server : ps) {
    for (const auto& [name, bytes] : ContentsOf(&server->shard())) {
      if (name.starts_with("table2/0")) gathered[name] = bytes;
    }
    for (const auto& [id, v] : server->shard().variables()) {
      gathered["weights"].append(reinterpret_cast<const char*>(v->weights().data()),
                                 v->weights().size_bytes());
      for (size_t k = 0; k < v->rule().slots.size(); ++k) {
        gathered["slot" + std::to_string(k)].append(
            reinterpret_cast<const char*>(v->slot(k).data()), v->slot(k).size_bytes());
      }
    }
  }
  return gathered;
}

TEST(PsServer, SyncHasTheSameBitsForAnyNumberOfServersAndOrderOfArrival) {
  for (const std::string optimizer : {"SGD", "Adam", "Adagrad"}) {
    const auto one = SyncRun(1, 3, 1, 0, optimizer);
    EXPECT_GT(one.size(), 20u);
    for (const int servers : {1, 2, 3, 5}) {
      for (const uint64_t seed : {2, 3}) {
        EXPECT_TRUE(SyncRun(servers, 3, seed, 0, optimizer) == one) << servers << " " << seed;
      }
    }
  }
}

TEST(PsServer, SyncSumsWhatTheWorkersSend) {
  PsServer ps(Options(Consistency::kSync, 2));
  Client a(&ps, 0), b(&ps, 1);
  a.Join();
  b.Join();
  a.Control(kCreateVariable, DenseSpec(1, {1}));
  a.Control(kCreateTable, RowsSpec(2, 1));
  const auto initial = a.Pull(0, Parts().PullRows(2, {5, 6}))->floats();
  const auto early = a.Push(0, Parts().Dense(1, {1}).Rows(2, {5, 6}, {1, 1}));
  EXPECT_FALSE(early->answered) << "the step is not complete";
  const auto pull = a.Pull(1, Parts().PullDense(1, 1).PullRows(2, {5, 6}));
  EXPECT_FALSE(pull->answered);
  EXPECT_TRUE(b.Push(0, Parts().Dense(1, {2}).Rows(2, {6}, {10}))->ok());
  EXPECT_TRUE(early->ok());
  ASSERT_TRUE(pull->ok());
  EXPECT_FLOAT_EQ(pull->floats()[0], -0.3f);
  EXPECT_FLOAT_EQ(pull->floats()[1], initial[0] - 0.1f);
  EXPECT_FLOAT_EQ(pull->floats()[2], initial[1] - 1.1f);
}

TEST(PsServer, BackupWorkersNeedNotComeAndLatePushesAreDropped) {
  PsServer ps(Options(Consistency::kSync, 3, 0, 1));
  Client a(&ps, 0), b(&ps, 1), c(&ps, 2);
  for (Client* w : {&a, &b, &c}) w->Join();
  a.Control(kCreateVariable, DenseSpec(1, {1}));
  EXPECT_FALSE(c.Push(0, Parts().Dense(1, {4}), 0)->answered) << "part of a step that it won't end";
  EXPECT_FALSE(b.Push(0, Parts().Dense(1, {2}))->answered);
  EXPECT_TRUE(a.Push(0, Parts().Dense(1, {1}))->ok());
  const auto late = c.Push(0, Parts().Dense(1, {400}));
  ASSERT_TRUE(late->ok());
  EXPECT_EQ(late->step().flags, kLate);
  EXPECT_FLOAT_EQ(a.Pull(1, Parts().PullDense(1, 1))->floats()[0], -0.3f);
  EXPECT_EQ(ps.stats().late, 1u);
  // All other bits are those of a run in which the third never existed.
  EXPECT_TRUE(SyncRun(2, 4, 5, 1, "Adam") == SyncRun(1, 3, 6, 0, "Adam"));
}

TEST(PsServer, AStepGoesOnWithoutAnEvictedWorker) {
  PsServer ps(Options(Consistency::kSync, 2));
  Client a(&ps, 0), b(&ps, 1), chief(&ps, 99);
  a.Join();
  b.Join();
  a.Control(kCreateVariable, DenseSpec(1, {1}));
  const auto dying = b.Push(0, Parts().Dense(1, {100}), 0);
  const auto waiting = a.Push(0, Parts().Dense(1, {1}));
  EXPECT_FALSE(waiting->answered);
  chief.Control(kEvict, EvictControl{1, 2});
  EXPECT_TRUE(waiting->ok());
  EXPECT_TRUE(dying->error) << "its half of a step is dropped and it is told so";
  EXPECT_FLOAT_EQ(a.Pull(1, Parts().PullDense(1, 1))->floats()[0], -0.1f);
  Client back(&ps, 1, 2);
  ASSERT_TRUE(back.Join(1)->ok());
  EXPECT_FALSE(a.Push(1, Parts().Dense(1, {1}))->answered) << "two take part again";
}

TEST(PsServer, BarriersAnswerAllAtOnceAndCountAWorkerOnce) {
  PsServer ps(Options(Consistency::kAsync));
  Client a(&ps, 0), b(&ps, 1), c(&ps, 2);
  const BarrierControl three{"start", 3};
  const auto first = a.Control(kBarrier, three), retry = a.Control(kBarrier, three);
  const auto second = b.Control(kBarrier, three);
  EXPECT_FALSE(first->answered || retry->answered || second->answered);
  EXPECT_TRUE(c.Control(kBarrier, three)->ok());
  EXPECT_TRUE(first->ok() && retry->ok() && second->ok());
}

TEST(PsServer, WhoWaitsWhenItEndsIsTold) {
  auto ps = std::make_unique<PsServer>(Options(Consistency::kSync, 2));
  Client a(ps.get(), 0);
  a.Join();
  a.Control(kCreateVariable, DenseSpec(1, {1}));
  const auto push = a.Push(0, Parts().Dense(1, {1}));
  const auto barrier = a.Control(kBarrier, BarrierControl{"x", 2});
  ps.reset();
  ASSERT_TRUE(push->error && barrier->error);
  EXPECT_EQ(push->error->code(), Code::kUnavailable);
}

TEST(PsServer, TellsOfItself) {
  PsServer ps(Options(Consistency::kAsync));
  Client w(&ps, 3);
  w.Join();
  w.Control(kCreateVariable, DenseSpec(1, {2}));
  w.Control(kCreateTable, RowsSpec(2, 4));
  std::vector<uint64_t> ids(1000, 42);
  for (size_t i = 0; i < ids.size(); i += 2) ids[i] = i;
  w.Push(0, Parts().Rows(2, ids, std::vector<float>(4000, 0.1f)));
  w.Pull(1, Parts().PullRows(2, ids).PullRows(2, {5000, 5001}).PullDense(1, 2));
  const auto reply = w.Send(kStats, "", "");
  const auto stats = Unpack<ServerStats>(AsBytes(reply->reply_control), "stats");
  ASSERT_EQ(stats.tables.size(), 2u);
  const TableStats& t = stats.tables[0];
  EXPECT_EQ(t.name, "table2");
  EXPECT_EQ(t.rows, 500u);
  EXPECT_EQ(t.pulled_keys, 1002u);
  EXPECT_EQ(t.pushed_keys, 1000u);
  EXPECT_EQ(t.hits, 1000u);
  ASSERT_FALSE(t.hot.empty());
  EXPECT_EQ(t.hot[0].key, 42u);
  EXPECT_EQ(stats.pull_us.count(), 1u);
  EXPECT_GT(stats.push_us.Quantile(0.99), 0);
  const std::string page = PrometheusText(stats);
  EXPECT_THAT(page, HasSubstr("tributary_ps_rows{shard=\"0\",table=\"table2\"} 500\n"));
  EXPECT_THAT(page, HasSubstr("tributary_ps_staleness_bucket{shard=\"0\",le=\"0\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("tributary_ps_worker_steps{shard=\"0\",worker=\"3\"} 1\n"));
}

TEST(LatencyHistogram, QuantilesAreWithinAFifth) {
  LatencyHistogram h;
  for (int i = 1; i <= 10'000; ++i) h.Add(i);
  EXPECT_NEAR(h.Quantile(0.5), 5000, 1000);
  EXPECT_NEAR(h.Quantile(0.99), 9900, 2000);
}

}  // namespace
}  // namespace tributary::ps

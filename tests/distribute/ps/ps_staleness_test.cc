// Workers that run as they please against real servers: what each of them reads is never
// staler than the bound.

#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

#include "distribute/ps/ps_session.h"
#include "tests/distribute/ps/ps_harness.h"

namespace tributary::ps {
namespace {

constexpr int kWorkers = 4;

struct Run {
  ConsistencyOptions consistency;
  int servers = 1;
  int64_t steps = 0;  // of each worker
  bool look_ahead = false;

  bool sync() const { return consistency.mode == Consistency::kSync; }
  int64_t bound() const {
    return consistency.mode == Consistency::kBounded ? consistency.staleness : 0;
  }
};

// How many pushes of each worker are in what a server gave.
using Counts = std::array<float, kWorkers>;

// Every server counts each worker's steps in an element of a variable and of a row: with SGD
// and a rate of 1, gradients of -1.
class Worker {
 public:
  Worker(const Run& run, int me, const std::vector<std::unique_ptr<Server>>& servers)
      : run_(run), me_(static_cast<size_t>(me)), dense_(static_cast<size_t>(run.servers)),
        rows_(dense_), ids_(Tensor::Empty(DType::kInt64, Shape{run.servers})),
        session_(run.servers, run.consistency), random_(static_cast<uint32_t>(17 * me + 1)) {
    const NamedOptions sgd{"SGD", {{"learning_rate", "1"}}};
    session_.AddTable({.name = "rows", .width = kWorkers, .initializer = {"Zeros", {}}});
    session_.SetTableOptimizer(sgd);
    std::vector<DenseBinding> bindings;
    for (int s = 0; s < run.servers; ++s) {
      bindings.push_back({.name = fmt::format("dense_{}", s), .shape = {kWorkers}, .bucket = 0,
                          .offset = 0, .weights = dense_[static_cast<size_t>(s)].data()});
      auto id = static_cast<uint64_t>(s);
      while (ServerOfRow(id, run.servers) != s) id += 4096;
      ids_.mutable_data<int64_t>()[s] = static_cast<int64_t>(id);
    }
    session_.PlaceDense(bindings, sgd, Whole);
    session_.SetLookAhead(run.look_ahead);
    session_.Attach(std::make_unique<PsClient>(PsClientOptions{
        .hello = {.role = "worker", .task = static_cast<uint32_t>(me), .generation = 1},
        .servers = run.servers,
        .find = [&servers](int s) { return servers[static_cast<size_t>(s)]->address(); }}));
    if (me == 0) session_.CreateAll();
    session_.Join();
  }

  // Steps that have begun to be sent, and those that are known to be there.
  std::atomic<int64_t> begun = 0, done = 0;

  void Work(const std::vector<std::unique_ptr<Worker>>& all) {
    Counts gradient{};
    gradient[me_] = -1;
    std::vector<Counts> row_gradients(rows_.size(), gradient);
    std::vector<int32_t> local(rows_.size());
    std::array<int64_t, kWorkers> done_before = DoneOf(all);
    session_.Announce({ids_});
    session_.Announce({ids_});
    for (int64_t t = 0; t < run_.steps; ++t) {
      session_.WaitForReads();
      done.store(t);
      session_.LookUp(0, 0, DType::kInt64, ids_.raw_data(), run_.servers, rows_[0].data(),
                      local.data());
      paces_.push_back(session_.pace());
      for (const Counts& counts : dense_) Check(t, counts, done_before, all);
      reads_.insert(reads_.end(), dense_.begin(), dense_.end());
      reads_.insert(reads_.end(), rows_.begin(), rows_.end());
      session_.Announce({ids_});
      session_.StageRows(0, 0, local, row_gradients[0].data());
      Dawdle(t);
      begun.store(t + 1);
      done_before = DoneOf(all);
      const float* bucket = gradient.data();
      session_.SendStep({&bucket, 1});
    }
    session_.Drain();
    session_.Park(true);
  }

  // How often each staleness was read, the last: more than the bound. All have worked.
  std::vector<uint64_t> Staleness(const std::vector<std::unique_ptr<Worker>>& all) const {
    std::vector<uint64_t> seen(static_cast<size_t>(run_.bound()) + 2);
    const size_t each = 2 * dense_.size();
    for (size_t i = 0; i < reads_.size(); ++i) {
      const auto step = static_cast<int64_t>(i / each);
      int64_t stalest = 0;
      for (const auto& other : all) {
        const auto there = static_cast<int64_t>(reads_[i][other->me_]);
        if (other->me_ == me_ || there == run_.steps) continue;
        // The oldest gradient that is not in it.
        stalest = std::max(stalest, paces_[static_cast<size_t>(step)] -
                                        other->paces_[static_cast<size_t>(there)]);
      }
      EXPECT_LE(stalest, run_.bound()) << "worker " << me_ << " in step " << step;
      ++seen[std::min(static_cast<size_t>(stalest), seen.size() - 1)];
    }
    return seen;
  }
  int64_t last_pace() const { return paces_.back(); }

 private:
  static std::array<int64_t, kWorkers> DoneOf(const std::vector<std::unique_ptr<Worker>>& all) {
    std::array<int64_t, kWorkers> steps{};
    for (const auto& worker : all) steps[worker->me_] = worker->done.load();
    return steps;
  }

  // What step t has read of the variables, asked for when `done_before` were done.
  void Check(int64_t t, const Counts& counts, const std::array<int64_t, kWorkers>& done_before,
             const std::vector<std::unique_ptr<Worker>>& all) const {
    for (size_t w = 0; w < kWorkers; ++w) {
      const auto there = static_cast<int64_t>(counts[w]);
      if (w == me_ || run_.sync()) {
        EXPECT_EQ(there, t) << "of worker " << w;
        continue;
      }
      EXPECT_GE(there, done_before[w]) << "acknowledged and not there";
      EXPECT_LE(there, all[w]->begun.load());
    }
  }

  // For some hundred steps at a time another worker is the slow one; all are, now and then.
  void Dawdle(int64_t t) {
    const bool slow = t / 300 % kWorkers == static_cast<int64_t>(me_);
    if (random_() % 100 >= (slow ? 60u : 15u)) return;
    for (uint32_t i = random_() % (slow ? 30 : 8); i > 0; --i) std::this_thread::yield();
  }

  const Run run_;
  const size_t me_;
  std::vector<Counts> dense_, rows_;  // by server
  Tensor ids_;
  PsSession session_;
  std::mt19937 random_;
  std::vector<int64_t> paces_;  // by step
  std::vector<Counts> reads_;   // by step: variables, then rows
};

void ExpectNeverStaler(const Run& run) {
  SCOPED_TRACE(fmt::format("staleness {}, {} servers{}", run.bound(), run.servers,
                           run.look_ahead ? ", look-ahead" : ""));
  static int jobs = 0;
  std::vector<std::unique_ptr<PsServer>> servers;
  std::vector<std::unique_ptr<Server>> listening;
  for (int s = 0; s < run.servers; ++s) {
    servers.push_back(std::make_unique<PsServer>(PsServerOptions{
        .shard = s, .shards = run.servers, .consistency = run.consistency}));
    listening.push_back(Listen(fmt::format("inproc://staleness-{}-{}", jobs, s),
                               servers.back()->handler(),
                               {.hello = {.role = "ps", .task = static_cast<uint32_t>(s)}}));
  }
  ++jobs;
  // All join before the first begins: who is missing is not waited for.
  std::vector<std::unique_ptr<Worker>> workers;
  for (int w = 0; w < kWorkers; ++w) {
    workers.push_back(std::make_unique<Worker>(run, w, listening));
  }
  {
    std::vector<std::jthread> threads;
    for (const auto& worker : workers) {
      threads.emplace_back([&workers, w = worker.get()] { w->Work(workers); });
    }
  }
  std::vector<uint64_t> seen(static_cast<size_t>(run.bound()) + 2);
  int64_t furthest = 0;
  for (const auto& worker : workers) {
    const std::vector<uint64_t> own = worker->Staleness(workers);
    for (size_t i = 0; i < seen.size(); ++i) seen[i] += own[i];
    furthest = std::max(furthest, worker->last_pace());
  }
  EXPECT_EQ(seen.back(), 0u);
  EXPECT_GT(seen[static_cast<size_t>(run.bound())], 0u) << "the bound was never used";
  // Somebody has made each step of the furthest pace.
  EXPECT_LE(furthest, kWorkers * run.steps);
  for (const auto& server : servers) {
    const ServerStats stats = server->stats();
    uint64_t pushes = 0;
    for (size_t i = 0; i < stats.staleness.size(); ++i) {
      pushes += stats.staleness[i];
      if (static_cast<int64_t>(i) > run.bound()) { EXPECT_EQ(stats.staleness[i], 0u) << i; }
    }
    EXPECT_EQ(pushes, static_cast<uint64_t>(kWorkers * run.steps));
    if (run.sync()) { EXPECT_EQ(stats.applied_steps, run.steps); }
  }
}

Run Bounded(int64_t staleness, int servers, int64_t steps, bool look_ahead = false) {
  return {{.mode = Consistency::kBounded, .staleness = staleness, .workers = kWorkers}, servers,
          steps, look_ahead};
}

// 100,000 steps in all, of four workers.
TEST(PsStaleness, IsNeverAboveTheBound) {
  ExpectNeverStaler(Bounded(4, 1, 8'000));
  ExpectNeverStaler(Bounded(4, 2, 5'000));
  ExpectNeverStaler(Bounded(1, 1, 2'000));
  ExpectNeverStaler(Bounded(1, 2, 2'000));
  ExpectNeverStaler(Bounded(0, 1, 2'000));
  ExpectNeverStaler(Bounded(0, 2, 1'000));
}

TEST(PsStaleness, IsNeverAboveTheBoundWhereRowsAreFetchedAhead) {
  ExpectNeverStaler(Bounded(4, 2, 3'000, true));
  ExpectNeverStaler(Bounded(1, 1, 2'000, true));
}

TEST(PsStaleness, ThereIsNoneInSync) {
  for (const int servers : {1, 2}) {
    ExpectNeverStaler({{.mode = Consistency::kSync, .workers = kWorkers}, servers, 2'000});
  }
}

}  // namespace
}  // namespace tributary::ps

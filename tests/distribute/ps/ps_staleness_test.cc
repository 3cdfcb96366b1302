// Workers that run as they please against real servers: what each of them reads is never
// staler than the bound.

#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include "distribute/ps/ps_client.h"
#include "tests/distribute/ps/ps_harness.h"

namespace tributary::ps {
namespace {

constexpr int kWorkers = 4;
constexpr uint32_t kCounts = 1;

struct Run {
  ConsistencyOptions consistency;
  int servers = 1;
  int64_t steps = 0;  // of each worker

  int64_t bound() const {
    return consistency.mode == Consistency::kBounded ? consistency.staleness : 0;
  }
};

// A server counts each worker's pushes in an element of a variable: with SGD and a rate of
// 1, gradients of -1. So a pull tells exactly whose steps are in what it brought.
class Job {
 public:
  explicit Job(const Run& run) : run_(run) {
    static int jobs = 0;
    for (int s = 0; s < run.servers; ++s) {
      servers_.push_back(std::make_unique<PsServer>(PsServerOptions{
          .shard = s, .shards = run.servers, .consistency = run.consistency}));
      listening_.push_back(Listen(fmt::format("inproc://staleness-{}-{}", jobs, s),
                                  servers_.back()->handler(),
                                  {.hello = {.role = "ps", .task = static_cast<uint32_t>(s)}}));
    }
    ++jobs;
    for (uint32_t w = 0; w < kWorkers; ++w) {
      clients_.push_back(std::make_unique<PsClient>(PsClientOptions{
          .hello = {.role = "worker", .task = w, .generation = 1},
          .servers = run.servers,
          .find = [this](int s) { return listening_[static_cast<size_t>(s)]->address(); }}));
      clients_.back()->Join();  // all before the first begins: who is missing is not waited for
    }
    clients_[0]->CallAll(kCreateVariable, Pack(DenseSpec(kCounts, {kWorkers})));
  }

  // Trains with a thread for each worker. Returns how often each staleness was read; the
  // last: more than the bound.
  std::vector<uint64_t> Train() {
    std::vector<uint64_t> seen(static_cast<size_t>(run_.bound()) + 2);
    std::mutex mutex;
    {
      std::vector<std::jthread> threads;
      for (int w = 0; w < kWorkers; ++w) {
        threads.emplace_back([&, w] {
          const std::vector<uint64_t> mine = Work(w);
          const std::lock_guard lock(mutex);
          for (size_t i = 0; i < seen.size(); ++i) seen[i] += mine[i];
        });
      }
    }
    return seen;
  }
  const PsServer& server(int s) const { return *servers_[static_cast<size_t>(s)]; }

 private:
  using Counts = std::array<float, kWorkers>;

  std::vector<uint64_t> Work(int me) {
    const auto self = static_cast<size_t>(me);
    PsClient& client = *clients_[self];
    std::vector<uint64_t> seen(static_cast<size_t>(run_.bound()) + 2);
    std::vector<Counts> read(static_cast<size_t>(run_.servers));
    std::mt19937 random(static_cast<uint32_t>(17 * me + 1));
    Counts gradient{};
    gradient[self] = -1;
    StepExchange step(run_.servers);
    const auto pull = [&] {
      for (int s = 0; s < run_.servers; ++s) {
        step.PullDense(s, kCounts, read[static_cast<size_t>(s)], nullptr);
      }
    };
    std::array<int64_t, kWorkers> done_before{};
    const auto look_around = [&] {
      for (size_t w = 0; w < kWorkers; ++w) done_before[w] = done_[w].load();
    };
    look_around();
    step.Begin(kPull, 0, 1, 0);
    pull();
    client.Run(&step);
    for (int64_t t = 0; t < run_.steps; ++t) {
      for (const Counts& counts : read) Check(self, t, done_before, counts, &seen);
      Dawdle(me, t, &random);
      begun_[self].store(t + 1);
      const bool together = random() % 4 != 0;  // the push, and the pull of the next step
      step.Begin(together ? kPushPull : kPush, t, 1, kEndOfStep);
      for (int s = 0; s < run_.servers; ++s) step.PushDense(s, kCounts, gradient);
      look_around();
      if (together) pull();
      client.Run(&step);
      done_[self].store(t + 1);
      if (together) continue;
      look_around();
      step.Begin(kPull, t + 1, 1, 0);
      pull();
      client.Run(&step);
    }
    return seen;
  }

  // What a pull at step t brought. `done_before`: steps that each had finished before the
  // pull was sent; begun_ now is what it can have brought at most.
  void Check(size_t me, int64_t t, const std::array<int64_t, kWorkers>& done_before,
             const Counts& counts, std::vector<uint64_t>* seen) {
    int64_t stalest = 0;
    for (size_t w = 0; w < kWorkers; ++w) {
      const auto there = static_cast<int64_t>(counts[w]);
      if (w == me) {
        EXPECT_EQ(there, t) << "its own steps";
        continue;
      }
      EXPECT_GE(there, done_before[w]) << "acknowledged and not there";
      EXPECT_LE(there, begun_[w].load());
      if (run_.consistency.mode == Consistency::kSync) { EXPECT_EQ(there, t); }
      stalest = std::max(stalest, t - there);
    }
    EXPECT_LE(stalest, run_.bound()) << "worker " << me << " in step " << t;
    ++(*seen)[std::min(static_cast<size_t>(stalest), seen->size() - 1)];
  }

  // For some hundred steps at a time another worker is the slow one; all are, now and then.
  static void Dawdle(int me, int64_t t, std::mt19937* random) {
    const bool slow = t / 300 % kWorkers == me;
    if ((*random)() % 100 >= (slow ? 60u : 15u)) return;
    for (uint32_t i = (*random)() % (slow ? 30 : 8); i > 0; --i) std::this_thread::yield();
  }

  const Run run_;
  std::vector<std::unique_ptr<PsServer>> servers_;
  std::vector<std::unique_ptr<Server>> listening_;
  std::vector<std::unique_ptr<PsClient>> clients_;
  std::array<std::atomic<int64_t>, kWorkers> begun_{}, done_{};
};

void ExpectNeverStaler(const Run& run) {
  SCOPED_TRACE(fmt::format("staleness {}, {} servers", run.bound(), run.servers));
  Job job(run);
  const std::vector<uint64_t> seen = job.Train();
  uint64_t reads = 0;
  for (const uint64_t n : seen) reads += n;
  EXPECT_EQ(reads, static_cast<uint64_t>(kWorkers * run.steps * run.servers));
  EXPECT_EQ(seen.back(), 0u);
  EXPECT_GT(seen[static_cast<size_t>(run.bound())], 0u) << "the bound was never used";
  for (int s = 0; s < run.servers; ++s) {
    const ServerStats stats = job.server(s).stats();
    uint64_t pushes = 0;
    for (size_t i = 0; i < stats.staleness.size(); ++i) {
      pushes += stats.staleness[i];
      if (static_cast<int64_t>(i) > run.bound()) { EXPECT_EQ(stats.staleness[i], 0u) << i; }
    }
    EXPECT_EQ(pushes, static_cast<uint64_t>(kWorkers * run.steps));
    EXPECT_EQ(stats.applied_steps, run.steps);
  }
}

Run Bounded(int64_t staleness, int servers, int64_t steps) {
  return {{.mode = Consistency::kBounded, .staleness = staleness, .workers = kWorkers}, servers,
          steps};
}

// 100,000 steps in all, of four workers.
TEST(PsStaleness, IsNeverAboveTheBound) {
  ExpectNeverStaler(Bounded(4, 1, 12'000));
  ExpectNeverStaler(Bounded(4, 2, 5'000));
  ExpectNeverStaler(Bounded(1, 1, 3'000));
  ExpectNeverStaler(Bounded(1, 2, 2'000));
  ExpectNeverStaler(Bounded(0, 1, 2'000));
  ExpectNeverStaler(Bounded(0, 2, 1'000));
}

TEST(PsStaleness, ThereIsNoneInSync) {
  for (const int servers : {1, 2}) {
    ExpectNeverStaler({{.mode = Consistency::kSync, .workers = kWorkers}, servers, 2'000});
  }
}

}  // namespace
}  // namespace tributary::ps

// A worker's client with real servers: what comes back, exactly once, servers that are
// lost and found again.

#include "distribute/ps/ps_client.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <mutex>
#include <random>
#include <thread>

#include "distribute/ps/key_set.h"
#include "distribute/ps/sharding.h"
#include "tests/distribute/ps/ps_harness.h"
#include "tests/temp_dir.h"

namespace tributary::ps {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// What happens to the first push that a server gets.
enum class Accident {
  kNone,
  kBeforeApplied,  // lost with the server
  kAfterApplied,   // applied; the answer is lost with the server
};

class LostReply final : public ReplySink {
 public:
  void Reply(ConstBytes, std::span<const ConstBytes>) override {}
  void Fail(const std::exception&) override {}
};

// A server, which may die and come back elsewhere.
class RealServer {
 public:
  RealServer(const std::string& scheme, int shard, int shards, const std::string& dir = "")
      : scheme_(scheme), shard_(shard) {
    options_.shard = shard;
    options_.shards = shards;
    options_.dir = dir;
  }
  ~RealServer() { Stop(); }

  void Start() {
    static std::atomic<int> next{0};
    held_.clear();  // not before: who dies says nothing
    ps_ = std::make_unique<PsServer>(options_);
    replayed_ = ps_->Recover("");
    ServerOptions options;
    options.hello = {.role = "ps", .task = static_cast<uint32_t>(shard_)};
    server_ = Listen(scheme_ == "tcp" ? "tcp://127.0.0.1:0"
                                      : fmt::format("inproc://ps-client-{}", next++),
                     [this](const Request& r, Responder to) { Handle(r, std::move(to)); }, options);
    const std::lock_guard lock(mutex_);
    address_ = server_->address();
  }
  void Stop() {
    {
      const std::lock_guard lock(mutex_);
      address_.clear();
    }
    server_.reset();
    ps_.reset();
  }

  // Where it is; who asks while it is away is told so.
  std::string Find() {
    const std::lock_guard lock(mutex_);
    ++asked_;
    if (address_.empty()) throw UnavailableError("server {} has no address now", shard_);
    return address_;
  }
  int asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  // Ready once the accident has begun: nothing is answered any more.
  std::future<void> Prepare(Accident accident) {
    accident_ = accident;
    begun_ = {};
    return begun_.get_future();
  }
  PsServer& ps() { return *ps_; }
  uint64_t replayed() const { return replayed_; }

 private:
  void Handle(const Request& request, Responder responder) {
    const bool push = request.header.kind == kPush || request.header.kind == kPushPull;
    if (accident_ == Accident::kNone) return ps_->Handle(request, std::move(responder));
    held_.push_back(std::move(responder));
    if (!push) return;
    if (accident_ == Accident::kAfterApplied) ps_->Handle(request, Responder(&lost_));
    begun_.set_value();
  }

  const std::string scheme_;
  const int shard_;
  PsServerOptions options_;
  std::unique_ptr<PsServer> ps_;
  std::unique_ptr<Server> server_;
  std::mutex mutex_;
  std::string address_;
  int asked_ = 0;
  uint64_t replayed_ = 0;
  std::atomic<Accident> accident_{Accident::kNone};
  std::promise<void> begun_;
  LostReply lost_;
  std::vector<Responder> held_;
};

struct Setup {
  std::string scheme;
  int servers;
};

class PsClientOver : public testing::TestWithParam<Setup> {
 protected:
  void StartServers(const std::string& dir = "") {
    const int n = GetParam().servers;
    for (int s = 0; s < n; ++s) {
      servers_.push_back(std::make_unique<RealServer>(GetParam().scheme, s, n, dir));
      servers_.back()->Start();
    }
  }
  PsClientOptions Options(Millis patience = Millis(30'000)) {
    PsClientOptions options;
    options.hello = {.role = "worker", .task = 3, .generation = 1};
    options.servers = GetParam().servers;
    options.find = [this](int server) { return servers_[server]->Find(); };
    options.patience = patience;
    return options;
  }
  int last() const { return GetParam().servers - 1; }

  const TempDir dir_{"ps_client"};
  std::vector<std::unique_ptr<RealServer>> servers_;
};

INSTANTIATE_TEST_SUITE_P(Carriers, PsClientOver,
                         testing::Values(Setup{"inproc", 1}, Setup{"inproc", 3}, Setup{"tcp", 1},
                                         Setup{"tcp", 3}),
                         [](const auto& test) {
                           return fmt::format("{}{}", test.param.scheme, test.param.servers);
                         });

// Two tables and a dense variable on the last server, and the same here.
class Model {
 public:
  Model(PsClient* client, const std::string& optimizer)
      : client_(client), server_(client->servers() - 1), dense_(DenseSpec(1, {5}, optimizer)),
        step_(client->servers()) {
    for (const int64_t width : {3, 16}) {
      const TableSpec spec = RowsSpec(static_cast<uint32_t>(width), width, optimizer);
      client_->CallAll(kCreateTable, Pack(spec));
      tables_.push_back({EmbeddingTable(spec), {}, {}, {}});
    }
    client_->Call(server_, kCreateVariable, dense_.spec());
    weights_.resize(5);
  }

  // Pushes gradients for random ids and pulls what that makes of other rows and weights.
  void RunStep(int64_t number) {
    step_.Begin(kPushPull, number, 0.1, kEndOfStep);
    std::vector<float> gradient(5);
    for (float& g : gradient) g = Random();
    step_.PushDense(server_, 1, gradient);
    step_.PullDense(server_, 1, weights_, nullptr);
    dense_.Apply(gradient.data(), static_cast<uint64_t>(number) + 1, 0.1);
    for (Table& t : tables_) PushPull(&t);
    client_->Run(&step_);
    EXPECT_EQ(weights_, std::vector(dense_.weights().begin(), dense_.weights().end()));
    for (Table& t : tables_) ExpectRows(t);
  }
  StepExchange& step() { return step_; }

 private:
  struct Table {
    EmbeddingTable local;
    KeySet pushed, pulled;
    std::vector<float> sums, rows;
  };
  float Random() { return static_cast<float>(random_() % 1000) * 0.01f - 5; }
  std::vector<int64_t> RandomIds() {
    std::vector<int64_t> ids(200);
    for (int64_t& id : ids) id = static_cast<int64_t>(random_() % 150) - 1;
    return ids;
  }
  void PushPull(Table* t) {
    const int64_t width = t->local.width();
    const std::vector<int64_t> ids = RandomIds(), others = RandomIds();
    t->pushed.Build(std::span<const int64_t>(ids), client_->servers());
    t->pulled.Build(std::span<const int64_t>(others), client_->servers());
    std::vector<float> grads(ids.size() * static_cast<size_t>(width));
    for (float& g : grads) g = Random();
    t->sums.resize(static_cast<size_t>(t->pushed.size() * width));
    t->rows.assign(static_cast<size_t>(t->pulled.size() * width), -1);
    CombineRows(t->pushed.local(), grads.data(), width, t->pushed.size(), t->sums.data());
    const auto part = [&](std::vector<float>& all, const KeySet& keys, int s) {
      return std::span(all).subspan(static_cast<size_t>(keys.begin(s) * width),
                                    keys.unique(s).size() * static_cast<size_t>(width));
    };
    for (int s = 0; s < client_->servers(); ++s) {
      step_.PushRows(s, t->local.spec().id, t->pushed.unique(s), part(t->sums, t->pushed, s));
      step_.PullRows(s, t->local.spec().id, t->pulled.unique(s), part(t->rows, t->pulled, s));
    }
    t->local.Push(t->pushed.unique(), t->sums.data(), 0.1);
  }
  void ExpectRows(Table& t) {
    std::vector<float> expected(t.rows.size());
    t.local.Lookup(t.pulled.unique(), expected.data());
    EXPECT_EQ(t.rows, expected);
  }

  PsClient* client_;
  const int server_;
  DenseVariable dense_;
  std::vector<Table> tables_;
  std::vector<float> weights_;
  StepExchange step_;
  std::mt19937 random_{9};
};

TEST_P(PsClientOver, StepsGiveWhatTheSameUpdatesGiveHere) {
  StartServers();
  for (const char* optimizer : {"SGD", "Adagrad"}) {
    PsClient client(Options());
    EXPECT_EQ(client.servers(), GetParam().servers);
    client.SetGeneration(optimizer[0] == 'S' ? 1 : 2);
    for (const WorkerReply& reply : client.Join()) EXPECT_EQ(reply.clock, 0);
    Model model(&client, optimizer);
    for (int step = 0; step < 5; ++step) model.RunStep(step);
    EXPECT_EQ(model.step().applied_steps(), 5);
    EXPECT_EQ(model.step().reply_flags(), 0u);
    EXPECT_GT(model.step().bytes_out(), 0u);
    EXPECT_EQ(client.stats().retries, 0u);
    for (auto& server : servers_) {  // anew for the next one
      server->Stop();
      server->Start();
    }
  }
}

TEST_P(PsClientOver, AnUnchangedPartIsNotSentAgain) {
  StartServers();
  PsClient client(Options());
  client.Join();
  client.Call(last(), kCreateVariable, DenseSpec(1, {1000}));
  client.Call(last(), kCreateVariable, DenseSpec(2, {2}));
  std::vector<float> large(1000, 5), small(2, 5);
  uint64_t large_version = 0, small_version = 0;
  StepExchange step(client.servers());
  const auto pull = [&] {
    const uint64_t before = step.bytes_in();
    step.Begin(kPull, 0, -1, 0);
    step.PullDense(last(), 1, large, &large_version);
    step.PullDense(last(), 2, small, &small_version);
    client.Run(&step);
    return step.bytes_in() - before;
  };
  EXPECT_GE(pull(), 4008u);
  EXPECT_EQ(large[0], 0);
  const uint64_t first = large_version;
  EXPECT_NE(first, 0u);
  large[0] = small[1] = 7;  // what the caller has stays
  EXPECT_LT(pull(), 500u);
  EXPECT_EQ(large[0], 7);
  EXPECT_EQ(small[1], 7);
  EXPECT_EQ(large_version, first);
  const std::vector<float> gradient = {1, 2};
  step.Begin(kPush, 0, 1, kEndOfStep);
  step.PushDense(last(), 2, gradient);
  client.Run(&step);
  EXPECT_LT(pull(), 500u);
  EXPECT_EQ(large[0], 7);
  EXPECT_EQ(small[1], -2);
}

TEST_P(PsClientOver, WhatAServerRefusesIsThrownAndTheNextStepGoesOn) {
  StartServers();
  PsClient client(Options());
  client.Join();
  client.CallAll(kCreateTable, Pack(RowsSpec(2, 2)));
  StepExchange step(client.servers());
  const std::vector<uint64_t> ids = {5};
  std::vector<float> row(2);
  step.Begin(kPull, 0, -1, 0);
  step.PullRows(last(), 9, ids, row);
  EXPECT_THROW(client.Run(&step), NotFoundError);
  step.Begin(kPull, 0, -1, 0);
  step.PullRows(last(), 2, ids, row);
  client.Run(&step);
  EXPECT_NE(row[0], row[1]);
}

TEST_P(PsClientOver, ANewLifeCountsAnew) {
  StartServers();
  PsClient client(Options());
  client.Join();
  client.Call(last(), kCreateVariable, DenseSpec(1, {1}));
  const std::vector<float> gradient = {1};
  StepExchange step(client.servers());
  const auto push = [&](int64_t number) {
    step.Begin(kPush, number, 1, kEndOfStep);
    step.PushDense(last(), 1, gradient);
    client.Run(&step);
  };
  push(0);
  client.SetGeneration(2);
  EXPECT_THROW(push(1), FailedPreconditionError);  // it has not joined
  client.SetGeneration(3);
  client.Join(1);
  push(1);
  EXPECT_EQ(step.reply_flags(), 0u);
  EXPECT_EQ(servers_[last()]->ps().shard().variable(1).weights()[0], -2);
}

// --- Servers that are lost -----------------------------------------------------------

class PsClientLoses : public PsClientOver {
 protected:
  // Two exchanges are under way when the last server dies; it comes back elsewhere.
  void LoseWhileUnderWay(Accident accident) {
    StartServers(dir_.path());
    RealServer& lost = *servers_[last()];
    PsClient client(Options());
    client.Join();
    client.CallAll(kCreateTable, Pack(RowsSpec(2, 1)));
    client.Call(last(), kCreateVariable, DenseSpec(1, {1}));
    // A list that the server keeps, so that it is named, until the server is lost.
    std::vector<uint64_t> ids;
    for (uint64_t id = 0; ids.size() < 20; ++id) {
      if (ServerOfRow(id, client.servers()) == last()) ids.push_back(id);
    }
    std::vector<float> row(ids.size());
    StepExchange push(client.servers()), pull(client.servers());
    pull.Begin(kPull, 0, -1, 0);
    pull.PullRows(last(), 2, ids, row);
    client.Run(&pull);
    std::future<void> begun = lost.Prepare(accident);
    std::thread fate([&] {
      begun.wait();
      const int asked = lost.asked();
      lost.Stop();
      while (lost.asked() == asked) std::this_thread::yield();  // it is looked for
      lost.Prepare(Accident::kNone);
      lost.Start();
    });
    const std::vector<float> gradient = {3}, row_gradient(ids.size(), 5);
    std::vector<float> weights(1);
    push.Begin(kPushPull, 0, 0.5, kEndOfStep);
    push.PushDense(last(), 1, gradient);
    push.PushRows(last(), 2, ids, row_gradient);
    push.PullDense(last(), 1, weights, nullptr);
    pull.Begin(kPull, 1, -1, 0);
    pull.PullRows(last(), 2, ids, row);
    client.Start(&push);
    client.Start(&pull);
    client.Finish(&push);
    client.Finish(&pull);
    fate.join();

    EXPECT_GT(lost.replayed(), 0u);
    EXPECT_EQ(weights[0], -1.5f);
    EXPECT_EQ(push.reply_flags(), accident == Accident::kAfterApplied ? kDuplicate : 0u);
    EXPECT_EQ(client.stats().reconnects, 1u);
    EXPECT_EQ(client.stats().retries, 2u);
    EXPECT_EQ(lost.ps().shard().variable(1).updates(), 1u);
    EXPECT_EQ(lost.ps().shard().table(2).updates(), 1u);
    EmbeddingTable expected(RowsSpec(2, 1));
    expected.Push(ids, row_gradient.data(), 0.5);
    std::vector<float> there(ids.size());
    expected.Lookup(ids, there.data());
    EXPECT_EQ(row, there);
    EXPECT_EQ(client.stats().unknown_lists, 0u) << "a new connection begins without lists";
  }
};

INSTANTIATE_TEST_SUITE_P(Carriers, PsClientLoses,
                         testing::Values(Setup{"inproc", 3}, Setup{"tcp", 1}, Setup{"tcp", 3}),
                         [](const auto& test) {
                           return fmt::format("{}{}", test.param.scheme, test.param.servers);
                         });

TEST_P(PsClientLoses, APushThatWasLostIsSaidAgain) { LoseWhileUnderWay(Accident::kBeforeApplied); }
TEST_P(PsClientLoses, APushWhoseAnswerWasLostIsAppliedOnce) {
  LoseWhileUnderWay(Accident::kAfterApplied);
}

TEST_P(PsClientLoses, WhenItsPatienceIsOverTheServerIsNamed) {
  StartServers();
  PsClient client(Options(Millis(50)));
  client.Join();
  servers_[last()]->Stop();
  StepExchange step(client.servers());
  step.Begin(kPush, 0, -1, kEndOfStep);
  try {
    client.Run(&step);
    FAIL() << "the server is gone";
  } catch (const UnavailableError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(fmt::format("/job:ps/task:{}", last())),
                                    HasSubstr("/job:worker/task:3")));
  }
  // Found again by what comes next. What it held is gone: it had no log.
  servers_[last()]->Start();
  EXPECT_EQ(client.Join().size(), servers_.size());
  step.Begin(kPush, 0, -1, kEndOfStep);
  client.Run(&step);
  EXPECT_EQ(step.applied_steps(), 1);
}

TEST_P(PsClientLoses, WhoIsNotThereAtTheStartIsNamed) {
  StartServers();
  servers_[last()]->Stop();
  try {
    PsClient client(Options(Millis(20)));
    FAIL() << "the server is not there";
  } catch (const UnavailableError& error) {
    EXPECT_THAT(error.what(), HasSubstr(fmt::format("/job:ps/task:{}", last())));
  }
}

}  // namespace
}  // namespace tributary::ps

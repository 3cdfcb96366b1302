// A worker that dies between two servers' pushes of a step, and its next life: the servers end
// with the same bits.

#include <gmock/gmock.h>

#include <atomic>
#include <random>

#include "distribute/ps/ps_session.h"
#include "tests/distribute/ps/ps_driver.h"

namespace tributary::ps {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSteps = 9, kBatch = 16;

std::string NextName() {
  static std::atomic<int> next{0};
  return fmt::format("inproc://ps-before-{}", next++);
}

// Two servers, of which one may not hear the pushes of one life of worker 1.
class TwoServers {
 public:
  TwoServers() {
    for (int s = 0; s < 2; ++s) {
      servers_.push_back(std::make_unique<PsServer>(Options("", Consistency::kSync, s, 2)));
      ServerOptions options;
      options.hello = {.role = "ps", .task = static_cast<uint32_t>(s)};
      listening_.push_back(Listen(NextName(), [this, s](const Request& r, Responder to) {
        if (deaf_ == s && r.header.worker == 1 && r.header.generation == deaf_to_ &&
            IsPush(r.header.kind)) {
          return unheard_.push_back(std::move(to));
        }
        servers_[static_cast<size_t>(s)]->Handle(r, std::move(to));
      }, options));
    }
  }
  ~TwoServers() {
    for (auto& server : listening_) server->Stop();
  }
  void Deafen(int server, uint64_t generation) {
    deaf_to_ = generation;
    deaf_ = server;
  }
  std::unique_ptr<PsClient> Connect(uint32_t task, uint64_t generation) {
    return std::make_unique<PsClient>(PsClientOptions{
        .hello = {.role = "worker", .task = task, .generation = generation},
        .servers = 2,
        .find = [this](int s) { return listening_[static_cast<size_t>(s)]->address(); }});
  }
  PsServer& server(int s) { return *servers_[static_cast<size_t>(s)]; }
  // All but who the workers are.
  std::map<std::string, std::string> Contents() {
    std::map<std::string, std::string> all;
    for (int s = 0; s < 2; ++s) {
      for (auto& [name, bytes] : ContentsOf(&server(s).shard())) {
        if (!name.starts_with("worker")) all[fmt::format("{}: {}", s, name)] = bytes;
      }
    }
    return all;
  }

 private:
  std::vector<std::unique_ptr<PsServer>> servers_;
  std::vector<std::unique_ptr<Server>> listening_;
  std::atomic<int> deaf_{-1};
  std::atomic<uint64_t> deaf_to_{0};
  std::vector<Responder> unheard_;  // that server's thread's
};

// A life of a worker. What it pushes depends on all that it reads.
struct Life {
  uint32_t index;
  PsSession session{2, {.mode = Consistency::kSync, .workers = 2}};
  std::vector<float> weights = std::vector<float>(26), gradient = std::vector<float>(26);
  std::vector<float> rows = std::vector<float>(kBatch * 4);
  std::vector<int32_t> local = std::vector<int32_t>(kBatch);
  Tensor ids = Tensor::Empty(DType::kInt64, Shape{kBatch});
  bool announces;  // rows come with the push before; else each lookup is a message

  Life(TwoServers* servers, uint32_t index, uint64_t generation, const std::string& optimizer,
       bool announces)
      : index(index), announces(announces) {
    std::mt19937_64 random(77);
    for (float& x : weights) x = static_cast<float>(random() % 1000) / 999.0f - 0.5f;
    const NamedOptions rule{optimizer, {{"learning_rate", "0.1"}}};
    TableSpec table = RowsSpec(0, 4);
    table.policy.evict_after = 4;
    session.AddTable(table);
    session.SetTableOptimizer(rule);
    session.PlaceDense({{.name = "a", .shape = {7, 3}, .weights = weights.data()},
                        {.name = "b", .shape = {5}, .offset = 21, .weights = weights.data() + 21}},
                       rule, Partitioners().Make("Fixed", OptionNode(OptionNode::Map{
                                 {"num_shards", int64_t{2}}})));
    session.Attach(servers->Connect(index, generation));
    if (index == 0) session.CreateAll();
    session.Join();
    if (announces) Announce(session.step());
  }
  void Announce(int64_t step) {
    std::mt19937_64 random(static_cast<uint64_t>(step) * 2 + index);
    // Some ids are of every third step only.
    for (int64_t i = 0; i < kBatch; ++i) {
      ids.mutable_data<int64_t>()[i] = static_cast<int64_t>(random() % (step % 3 == 0 ? 60 : 20));
    }
    if (announces) session.Announce({ids});
  }
  void Step(int64_t step) {
    ASSERT_EQ(session.step(), step);
    session.WaitForReads();
    if (!announces) Announce(step);
    session.LookUp(0, 0, DType::kInt64, ids.raw_data(), kBatch, rows.data(), local.data());
    std::mt19937_64 random(static_cast<uint64_t>(step) * 2 + index + 1000);
    float sum = 0;
    for (int64_t i = 0; i < kBatch; ++i) sum += rows[static_cast<size_t>(local[i]) * 4];
    for (size_t i = 0; i < 26; ++i) {
      gradient[i] = weights[i] * weights[(i + 11) % 26] + 0.1f * sum +
                    0.01f * static_cast<float>(random() % 100);
    }
    std::vector<float> grads(kBatch * 4);
    for (size_t i = 0; i < grads.size(); ++i) {
      grads[i] = rows[static_cast<size_t>(local[i / 4]) * 4 + i % 4] * 0.3f + weights[i % 26];
    }
    session.StageRows(0, 0, local, grads.data());
    if (announces) Announce(step + 1);
    const float* bucket = gradient.data();
    session.SendStep({&bucket, 1});
  }
};

// Worker 1 dies in step `at`, after one server had its push and before `deaf` had.
std::map<std::string, std::string> TrainTwo(const std::string& optimizer, bool announces,
                                            int64_t at = -1, int deaf = 0) {
  TwoServers servers;
  std::vector<std::unique_ptr<Life>> lives;  // the dead may still hear something
  lives.push_back(std::make_unique<Life>(&servers, 0, 1, optimizer, announces));
  lives.push_back(std::make_unique<Life>(&servers, 1, 1, optimizer, announces));
  const auto client = servers.Connect(50, 1);
  for (int64_t t = 0; t < kSteps; ++t) {
    lives.front()->Step(t);
    if (t == at) {
      servers.Deafen(deaf, 1);
      lives.back()->Step(t);
      StepExchange look(2);
      look.Begin(kPull, t + 1, -1, 0);
      std::vector<float> rows(4);
      const uint64_t id = 1;
      look.PullRows(1 - deaf, 0, {&id, 1}, rows);
      client->Run(&look);  // the other has completed the step
      lives.push_back(std::make_unique<Life>(&servers, 1, 2, optimizer, announces));
    }
    lives.back()->Step(t);
    if (testing::Test::HasFatalFailure()) return {};
  }
  lives.front()->session.Drain();
  lives.back()->session.Drain();
  EXPECT_EQ(servers.server(0).shard().late_pushes() + servers.server(1).shard().late_pushes(), 0u);
  auto contents = servers.Contents();
  EXPECT_EQ(contents["0: steps"], std::to_string(kSteps));
  return contents;
}

TEST(BeforeOfWorker, WhoDiesBetweenTwoServersPushesChangesNoBit) {
  for (const char* optimizer : {"SGD", "Adagrad", "Adam", "LazyAdam"}) {
    for (const bool announces : {true, false}) {
      const auto undisturbed = TrainTwo(optimizer, announces);
      ASSERT_GT(undisturbed.size(), 20u);
      for (int64_t at = 0; at < kSteps; ++at) {
        for (int deaf = 0; deaf < 2; ++deaf) {
          EXPECT_TRUE(TrainTwo(optimizer, announces, at, deaf) == undisturbed)
              << optimizer << (announces ? ", announced" : "") << ": step " << at << ", server "
              << deaf;
        }
      }
    }
  }
}

TEST(BeforeOfWorker, ServersThatAreFurtherApartAreRefused) {
  TwoServers servers;
  Life first(&servers, 0, 1, "SGD", false);
  // Two steps that only one of them has had.
  for (uint32_t w = 0; w < 2; ++w) {
    Client client(&servers.server(0), w, 2);
    ASSERT_TRUE(client.Join()->ok());
    for (int64_t t = 0; t < 2; ++t) client.Push(t, Parts());
  }
  ASSERT_EQ(servers.server(0).shard().applied_steps(), 2);
  Life second(&servers, 1, 3, "SGD", false);
  try {
    second.session.WaitForReads();
    FAIL() << "nothing was thrown";
  } catch (const FailedPreconditionError& error) {
    EXPECT_THAT(error.what(), HasSubstr("server 0 has had 2 steps more than another"));
  }
}

}  // namespace
}  // namespace tributary::ps

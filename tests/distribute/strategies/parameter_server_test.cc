// Parameters on servers: what a job learns does not depend on where they live. Workers
// are threads here; tests/multiprocess has processes.

#include "distribute/strategies/parameter_server/strategy.h"

#include <gmock/gmock.h>

#include <thread>

#include "core/base/parallel.h"
#include "distribute/strategies/parameter_server/hybrid.h"
#include "tests/distribute/run_ranks.h"
#include "trainer/loop/trainer.h"
#include "trainer/strategy/one_device.h"

namespace tributary {
namespace {

using ::testing::HasSubstr;

struct Job {
  std::string optimizer = "SGD";
  OptionNode options = {{"learning_rate", 0.1}};
  int64_t epochs = 3, batch = 24, rows = 100;  // the last batch is short
  bool shared_ids = false;  // two tables that are looked up by the same ids
  std::vector<CallbackPtr> callbacks;
};

// Two words and a number an example; the answer depends on all of them.
data::Dataset Clicks(const Job& job) {
  std::vector<int64_t> words(job.rows * 2);
  std::vector<float> numbers(job.rows), answers(job.rows);
  for (int64_t i = 0; i < job.rows; ++i) {
    words[2 * i] = (i * i) % 17;
    words[2 * i + 1] = (i * 7) % 23;
    numbers[i] = static_cast<float>(i % 5) / 5;
    answers[i] = static_cast<float>((words[2 * i] + words[2 * i + 1]) % 2);
  }
  return data::Dataset::FromTensorSlices(
             {Tensor::FromVector(words, {job.rows, 2}), Tensor::FromVector(numbers, {job.rows, 1}),
              Tensor::FromVector(answers, {job.rows, 1})})
      .Shuffle(job.rows, 3)
      .Batch(job.batch);
}

ModelPtr MakeModel(const Job& job) {
  const KerasTensor words = Input({2}, DType::kInt64, "words"), number = Input({1});
  const KerasTensor rows = (*MakeLayer("Embedding", {{"input_dim", 23}, {"output_dim", 6},
                                                     {"name", "table"}}))(words);
  std::vector<KerasTensor> parts = {(*MakeLayer("Flatten"))(rows), number};
  if (job.shared_ids) {
    parts.push_back((*MakeLayer("Embedding", {{"input_dim", 23}, {"output_dim", 3},
                                              {"combiner", "sum"}, {"name", "bag"}}))(words));
  }
  const KerasTensor all = (*MakeLayer("Concatenate", {{"axis", 1}}))(parts);
  const KerasTensor h = (*MakeLayer("Dense", {{"units", 9}, {"activation", "tanh"}}))(all);
  return Model::Make({words, number}, {(*MakeLayer("Dense", {{"units", 1}}))(h)});
}

std::unique_ptr<Trainer> MakeTrainer(const Job& job, std::shared_ptr<Strategy> strategy) {
  SetNumThreads(1);
  return std::make_unique<Trainer>(
      MakeModel(job), TrainerOptions{.loss = Losses().Make("BinaryCrossentropy",
                                                           {{"from_logits", true}}),
                                     .optimizer = Optimizers().Make(job.optimizer, job.options),
                                     .strategy = std::move(strategy)});
}

struct Trained {
  std::vector<float> dense;
  std::vector<float> outputs;  // of all examples: what tables hold shows here
  double loss = 0;
};

Trained ResultOf(Trainer& trainer, const Job& job, const History& history) {
  Trained out;
  for (const Tensor& t : trainer.Predict(Clicks(job))) {
    for (const float x : t.values<float>()) out.outputs.push_back(x);
  }
  for (const VariablePtr& v : trainer.model()->trainable_variables()) {
    if (v->name().find("embeddings") != std::string::npos) continue;
    for (const float x : v->storage().values<float>()) out.dense.push_back(x);
  }
  if (!history.logs.empty()) out.loss = history.logs.back().Get("loss");
  return out;
}

Trained Train(const Job& job, std::shared_ptr<Strategy> strategy) {
  const auto trainer = MakeTrainer(job, std::move(strategy));
  const History history =
      trainer->Fit(Clicks(job), {.epochs = job.epochs, .callbacks = job.callbacks});
  return ResultOf(*trainer, job, history);
}

PsConfig Config(int servers, ps::Consistency mode, int workers = 1) {
  PsConfig config = PsConfig::From(MakeOptions(ParameterServerTable(), OptionNode::Map()));
  config.servers = servers;
  config.workers = workers;
  config.consistency.mode = mode;
  config.lease = 2;
  return config;
}

// Chief and workers by a coordinator, servers and all in this process.
class Cluster {
 public:
  Cluster(const PsConfig& config, const std::string& name) : config_(config), name_(name) {
    for (int s = 0; s < config.servers; ++s) {
      servers_.push_back(
          std::make_unique<ps::PsServer>(config.Server(s, config.workers, "")));
      ServerOptions options;
      options.hello = {.role = "ps", .task = static_cast<uint32_t>(s)};
      listening_.push_back(
          Listen(fmt::format("inproc://{}-ps-{}", name, s), servers_.back()->handler(), options));
    }
    coordinator::CoordinatorOptions options;
    options.address = fmt::format("inproc://{}-chief", name);
    options.job = name;
    options.servers = config.servers;
    options.workers = config.workers;
    options.lease_steps = config.lease;
    options.mode = config.consistency.mode == ps::Consistency::kSync ? coordinator::Mode::kShared
                                                                     : coordinator::Mode::kSplit;
    coordinator_ = std::make_shared<coordinator::Coordinator>(options);
  }
  ~Cluster() {
    coordinator_->End("");
    for (auto& server : listening_) server->Stop();
  }

  ConnectServers Connector(const std::string& role, uint32_t task) {
    return [this, role, task](uint64_t generation) {
      return std::make_unique<ps::PsClient>(ps::PsClientOptions{
          .hello = {.role = role, .task = task, .generation = generation},
          .servers = config_.servers,
          .find = [this](int s) { return listening_[static_cast<size_t>(s)]->address(); }});
    };
  }
  std::shared_ptr<Strategy> Chief() {
    return std::make_shared<PsChief>(config_, config_.workers, coordinator_,
                                     Connector("chief", kChiefTask));
  }
  void Work(const Job& job, int index) {
    const auto chief = std::make_shared<coordinator::CoordinatorClient>(
        coordinator::CoordinatorClientOptions{
            .hello = {.role = "worker", .task = static_cast<uint32_t>(index)},
            .find = [this] { return coordinator_->address(); }});
    const auto trainer = MakeTrainer(
        job, std::make_shared<PsWorker>(config_, index, config_.workers, chief,
                                        Connector("worker", static_cast<uint32_t>(index))));
    trainer->Work(Clicks(job), {});
  }
  coordinator::Coordinator& coordinator() { return *coordinator_; }
  ps::PsServer& server(int s) { return *servers_[static_cast<size_t>(s)]; }

 private:
  PsConfig config_;
  std::string name_;
  std::vector<std::unique_ptr<ps::PsServer>> servers_;
  std::vector<std::unique_ptr<Server>> listening_;
  std::shared_ptr<coordinator::Coordinator> coordinator_;
};

Trained TrainOnCluster(const Job& job, const PsConfig& config, const std::string& name) {
  Cluster cluster(config, name);
  std::vector<std::jthread> workers;
  for (int w = 0; w < config.workers; ++w) {
    workers.emplace_back([&, w] { cluster.Work(job, w); });
  }
  Trained result = Train(job, cluster.Chief());
  cluster.coordinator().End("");
  return result;
}

void ExpectNear(const Trained& a, const Trained& b, double tolerance) {
  ASSERT_EQ(a.dense.size(), b.dense.size());
  ASSERT_EQ(a.outputs.size(), b.outputs.size());
  for (size_t i = 0; i < a.dense.size(); ++i) ASSERT_NEAR(a.dense[i], b.dense[i], tolerance) << i;
  for (size_t i = 0; i < a.outputs.size(); ++i) {
    ASSERT_NEAR(a.outputs[i], b.outputs[i], tolerance) << i;
  }
  EXPECT_NEAR(a.loss, b.loss, tolerance);
}
void ExpectSameBits(const Trained& a, const Trained& b) {
  EXPECT_EQ(a.dense, b.dense);
  EXPECT_EQ(a.outputs, b.outputs);
}

Trained OneDevice(const Job& job) { return Train(job, std::make_shared<OneDeviceStrategy>()); }

// --- One process ---------------------------------------------------------------------------

TEST(PsAlone, LearnsWhatOneDeviceDoesWithEveryOptimizer) {
  for (const std::string optimizer : {"SGD", "Adam", "AdamW", "Adagrad", "RMSprop"}) {
    SCOPED_TRACE(optimizer);
    // Rows that a batch does not touch: servers let those of Adam decay, and no others.
    const bool lazy = optimizer == "RMSprop";
    Job job{.optimizer = optimizer, .options = {{"learning_rate", 0.01}, {"lazy", lazy}}};
    ExpectNear(Train(job, std::make_shared<PsAlone>(Config(2, ps::Consistency::kAsync))),
               OneDevice(job), 1e-5);
  }
}

TEST(PsAlone, MomentumAndSchedulesReachTheServers) {
  const OptionNode schedule = {{"CosineDecay", {{"initial_learning_rate", 0.2},
                                                {"decay_steps", 9}}}};
  for (const OptionNode& options :
       {OptionNode{{"learning_rate", 0.05}, {"momentum", 0.9}, {"nesterov", true}, {"lazy", true}},
        OptionNode{{"learning_rate", schedule}}}) {
    const Job job{.options = options};
    ExpectNear(Train(job, std::make_shared<PsAlone>(Config(3, ps::Consistency::kSync))),
               OneDevice(job), 1e-5);
  }
}

TEST(PsAlone, EveryNumberOfServersGivesTheSameBits) {
  for (const auto mode : {ps::Consistency::kAsync, ps::Consistency::kSync}) {
    const Job job{.optimizer = "Adam", .options = {{"learning_rate", 0.01}}, .shared_ids = true};
    const Trained one = Train(job, std::make_shared<PsAlone>(Config(1, mode)));
    for (const int servers : {2, 3, 5}) {
      PsConfig config = Config(servers, mode);
      config.partitioner = ps::Partitioners().Make("Fixed", {{"num_shards", servers}});
      ExpectSameBits(Train(job, std::make_shared<PsAlone>(config)), one);
    }
  }
}

TEST(PsAlone, RefusesWhatServersCannotDo) {
  const auto refused = [](const Job& job) -> std::string {
    try {
      Train(job, std::make_shared<PsAlone>(Config(1, ps::Consistency::kAsync)));
    } catch (const UnimplementedError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refused({.options = {{"clipnorm", 1.0}}}), HasSubstr("clipnorm"));
}

// --- Chief and workers ---------------------------------------------------------------------

struct Crew {
  ps::Consistency mode;
  int workers, servers;
};
class Crews : public testing::TestWithParam<Crew> {};
INSTANTIATE_TEST_SUITE_P(
    Sizes, Crews,
    testing::Values(Crew{ps::Consistency::kSync, 1, 1}, Crew{ps::Consistency::kSync, 2, 1},
                    Crew{ps::Consistency::kSync, 2, 3}, Crew{ps::Consistency::kSync, 3, 2},
                    Crew{ps::Consistency::kAsync, 1, 1}, Crew{ps::Consistency::kAsync, 3, 2},
                    Crew{ps::Consistency::kBounded, 2, 2}));

TEST_P(Crews, Learn) {
  const Crew& crew = GetParam();
  Job job{.shared_ids = true};
  const std::string name = fmt::format("learn-{}-{}-{}", static_cast<int>(crew.mode),
                                       crew.workers, crew.servers);
  const Trained trained =
      TrainOnCluster(job, Config(crew.servers, crew.mode, crew.workers), name);
  const Trained one = OneDevice(job);
  if (crew.mode == ps::Consistency::kSync || crew.workers == 1) {
    ExpectNear(trained, one, 1e-5);
  } else {
    EXPECT_NEAR(trained.loss, one.loss, 0.05);
  }
}

TEST(PsWorkers, SyncGivesTheSameBitsForEveryNumberOfServers) {
  const Job job{.optimizer = "Adam", .options = {{"learning_rate", 0.01}}};
  const Trained one = TrainOnCluster(job, Config(1, ps::Consistency::kSync, 2), "bits-1");
  for (const int servers : {2, 3}) {
    ExpectSameBits(TrainOnCluster(job, Config(servers, ps::Consistency::kSync, 2),
                                  fmt::format("bits-{}", servers)),
                   one);
  }
}

TEST(PsWorkers, TheChiefsLearningRateReachesThem) {
  Job job;
  job.callbacks = {Callbacks().Make(
      "LearningRateScheduler",
      {{"schedule", OptionNode{{"ExponentialDecay", {{"initial_learning_rate", 0.1},
                                                     {"decay_steps", 1},
                                                     {"decay_rate", 0.5}}}}}},
      {})};
  ExpectNear(TrainOnCluster(job, Config(2, ps::Consistency::kSync, 2), "rate"), OneDevice(job),
             1e-5);
}

TEST(PsWorkers, EveryBatchIsCountedOnce) {
  Job job{.epochs = 2, .rows = 24 * 9};
  const PsConfig config = Config(2, ps::Consistency::kAsync, 3);
  Cluster cluster(config, "once");
  {
    std::vector<std::jthread> workers;
    for (int w = 0; w < 3; ++w) workers.emplace_back([&, w] { cluster.Work(job, w); });
    Train(job, cluster.Chief());
    cluster.coordinator().End("");
  }
  for (int s = 0; s < 2; ++s) {
    int64_t steps = 0;
    for (const ps::WorkerStats& w : cluster.server(s).stats().workers) steps += w.pushes;
    EXPECT_EQ(steps, 2 * 9) << "server " << s;
  }
}

// --- Hybrid --------------------------------------------------------------------------------

TEST(Hybrid, LearnsWhatOneDeviceDoes) {
  Job job{.shared_ids = true};
  const Trained one = OneDevice(job);
  for (const int ranks : {1, 2, 3}) {
    for (const bool shared : {true, false}) {
      RunRanks(ranks, [&](Communicator& comm) {
        const auto context = JobContext::ForRank(comm.Split(0, comm.rank()));
        {
          const auto strategy =
              std::make_shared<Hybrid>(*context, HybridOptions{.mirrored = {.node_shared = shared}});
          const auto trainer = MakeTrainer(job, strategy);
          const History history = trainer->Fit(Clicks(job), {.epochs = job.epochs});
          ExpectNear(ResultOf(*trainer, job, history), one, 1e-5);
          comm.Barrier();  // servers are threads of the ranks
        }
        context->Finish();
      });
    }
  }
}

}  // namespace
}  // namespace tributary

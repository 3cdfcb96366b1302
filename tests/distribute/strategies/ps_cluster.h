#pragma once
// A small job for strategies with parameter servers, and a cluster to train it on: chief,
// workers and servers are threads of the test.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/parallel.h"
#include "distribute/strategies/parameter_server/strategy.h"
#include "trainer/loop/trainer.h"

namespace tributary::ps_test {

struct Job {
  std::string optimizer = "SGD";
  OptionNode options = {{"learning_rate", 0.1}};
  int64_t epochs = 3, batch = 24, rows = 100;  // the last batch is short
  bool shared_ids = false;  // two tables that are looked up by the same ids
  std::vector<CallbackPtr> callbacks;
};

// Two words and a number an example; the answer depends on all of them.
inline data::Dataset Clicks(const Job& job) {
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

inline ModelPtr MakeModel(const Job& job) {
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

inline std::unique_ptr<Trainer> MakeTrainer(const Job& job, std::shared_ptr<Strategy> strategy) {
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

inline Trained ResultOf(Trainer& trainer, const Job& job, const History& history) {
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

inline Trained Train(const Job& job, std::shared_ptr<Strategy> strategy) {
  const auto trainer = MakeTrainer(job, std::move(strategy));
  const History history =
      trainer->Fit(Clicks(job), {.epochs = job.epochs, .callbacks = job.callbacks});
  return ResultOf(*trainer, job, history);
}

inline PsConfig Config(int servers, ps::Consistency mode, int workers = 1) {
  PsConfig config = PsConfig::From(MakeOptions(ParameterServerTable(), OptionNode::Map()));
  config.servers = servers;
  config.workers = workers;
  config.consistency.mode = mode;
  config.lease = 2;
  return config;
}

// Chief and workers by a coordinator, servers and all in this process.
class PsCluster {
 public:
  // `scheme`: the carrier, "inproc" or "tcp".
  PsCluster(const PsConfig& config, const std::string& name, const std::string& scheme = "inproc")
      : config_(config) {
    const auto address = [&](const std::string& what) {
      return scheme == "tcp" ? std::string("tcp://127.0.0.1:0")
                             : fmt::format("inproc://{}-{}", name, what);
    };
    for (int s = 0; s < config.servers; ++s) {
      servers_.push_back(
          std::make_unique<ps::PsServer>(config.Server(s, config.workers, "")));
      ServerOptions options;
      options.hello = {.role = "ps", .task = static_cast<uint32_t>(s)};
      listening_.push_back(
          Listen(address(fmt::format("ps-{}", s)), servers_.back()->handler(), options));
      workers_see_.push_back(listening_.back()->address());
    }
    coordinator::CoordinatorOptions options;
    options.address = address("chief");
    options.job = name;
    options.servers = config.servers;
    options.workers = config.workers;
    options.lease_steps = config.lease;
    options.mode = config.consistency.mode == ps::Consistency::kSync ? coordinator::Mode::kShared
                                                                     : coordinator::Mode::kSplit;
    coordinator_ = std::make_shared<coordinator::Coordinator>(options);
  }
  ~PsCluster() {
    coordinator_->End("");
    for (auto& server : listening_) server->Stop();
  }

  ConnectServers Connector(const std::string& role, uint32_t task) {
    return [this, role, task](uint64_t generation) {
      return std::make_unique<ps::PsClient>(ps::PsClientOptions{
          .hello = {.role = role, .task = task, .generation = generation},
          .servers = config_.servers,
          .find = [this, role](int s) {
            return role == "worker" ? workers_see_[static_cast<size_t>(s)] : address(s);
          },
          .key_lists = config_.key_lists});
    };
  }
  const std::string& address(int s) const { return listening_[static_cast<size_t>(s)]->address(); }
  // Workers reach server `s` at `address` (a proxy's).
  void LetWorkersSee(int s, const std::string& address) {
    workers_see_[static_cast<size_t>(s)] = address;
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
  std::vector<std::string> workers_see_;
  std::vector<std::unique_ptr<ps::PsServer>> servers_;
  std::vector<std::unique_ptr<Server>> listening_;
  std::shared_ptr<coordinator::Coordinator> coordinator_;
};

inline Trained TrainOnCluster(const Job& job, int workers, PsCluster* cluster) {
  std::vector<std::jthread> threads;
  for (int w = 0; w < workers; ++w) {
    threads.emplace_back([&, w] { cluster->Work(job, w); });
  }
  Trained result = Train(job, cluster->Chief());
  cluster->coordinator().End("");
  return result;
}

inline Trained TrainOnCluster(const Job& job, const PsConfig& config, const std::string& name) {
  PsCluster cluster(config, name);
  return TrainOnCluster(job, config.workers, &cluster);
}

inline void ExpectNear(const Trained& a, const Trained& b, double tolerance) {
  ASSERT_EQ(a.dense.size(), b.dense.size());
  ASSERT_EQ(a.outputs.size(), b.outputs.size());
  for (size_t i = 0; i < a.dense.size(); ++i) ASSERT_NEAR(a.dense[i], b.dense[i], tolerance) << i;
  for (size_t i = 0; i < a.outputs.size(); ++i) {
    ASSERT_NEAR(a.outputs[i], b.outputs[i], tolerance) << i;
  }
  EXPECT_NEAR(a.loss, b.loss, tolerance);
}
inline void ExpectSameBits(const Trained& a, const Trained& b) {
  EXPECT_EQ(a.dense, b.dense);
  EXPECT_EQ(a.outputs, b.outputs);
}

}  // namespace tributary::ps_test

// Replicas are threads: training with N of them equals training with one.

#include "distribute/strategies/multi_worker_mirrored.h"

#include "core/base/parallel.h"
#include "tests/distribute/run_ranks.h"
#include "tests/temp_dir.h"
#include "trainer/loop/trainer.h"
#include "trainer/strategy/one_device.h"

namespace tributary {
namespace {

using testing::HasSubstr;

struct Job {
  std::string optimizer = "Adam";
  OptionNode optimizer_options = {{"learning_rate", 0.01}};
  int64_t rows = 96, batch = 24, epochs = 3;
  size_t max_bucket_bytes = size_t{32} << 20;
  int accumulate = 1;
  bool dropout = false;
  bool wide = false;     // layers whose gradients are larger than their factors
  bool normalized = false;
  int64_t bad_row = -1;  // holds infinity
  int64_t max_steps = 0;
};

// Two noisy blobs a class, the same in every rank.
data::Dataset Blobs(const Job& job) {
  std::vector<float> x(job.rows * 6);
  std::vector<int64_t> y(job.rows);
  for (int64_t i = 0; i < job.rows; ++i) {
    y[i] = i % 3;
    for (int64_t k = 0; k < 6; ++k) {
      x[i * 6 + k] = static_cast<float>((k % 3 == y[i] ? 1.5 : 0.1) +
                                        0.05 * static_cast<double>((i * 7 + k * 13) % 11));
    }
  }
  if (job.bad_row >= 0) x[job.bad_row * 6] = std::numeric_limits<float>::infinity();
  return data::Dataset::FromTensorSlices({Tensor::FromVector(x, {job.rows, 6}),
                                          Tensor::FromVector(y, {job.rows})})
      .Shuffle(job.rows, 7)
      .Batch(job.batch);
}

// Of the bad row.
int64_t PlaceInBatch(const Job& job) {
  data::Iterator it = Blobs(job).MakeIterator();
  while (const data::Batch* batch = it.Next()) {
    const auto x = batch->tensors[0].values<float>();
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::isinf(x[i])) return static_cast<int64_t>(i / 6);
    }
  }
  return -1;
}

struct Trained {
  std::vector<std::vector<float>> weights;  // by variable, then the slots
  double loss = 0;
};

Trained Train(const Job& job, std::shared_ptr<Strategy> strategy,
              const std::vector<CallbackPtr>& callbacks = {}) {
  SetNumThreads(1);  // of this thread's team: the ranks have a thread each
  std::vector<LayerPtr> layers = {MakeLayer("Dense", {{"units", 37}, {"activation", "relu"}})};
  if (job.wide) {
    layers.push_back(MakeLayer("Dense", {{"units", 150}, {"activation", "tanh"}}));
    layers.push_back(MakeLayer("Dense", {{"units", 90}, {"activation", "relu"}}));
  }
  if (job.normalized) layers.push_back(MakeLayer("BatchNormalization", {}));
  if (job.dropout) layers.push_back(MakeLayer("Dropout", {{"rate", 0.3}}));
  layers.push_back(MakeLayer("Dense", {{"units", 3}}));
  Trainer trainer(Sequential::Make(layers),
                  {.loss = Losses().Make("SparseCategoricalCrossentropy", {{"from_logits", true}}),
                   .optimizer = Optimizers().Make(job.optimizer, job.optimizer_options),
                   .strategy = strategy,
                   .accumulate_steps = job.accumulate,
                   .max_bucket_bytes = job.max_bucket_bytes});
  const History history =
      trainer.Fit(Blobs(job), {.epochs = job.epochs, .max_steps = job.max_steps,
                              .callbacks = callbacks});
  Trained out;
  for (const VariablePtr& v : trainer.model()->variables()) {
    if (v->dtype() != DType::kFloat32) continue;
    out.weights.push_back(v->storage().ToVector<float>());
  }
  if (!history.logs.empty()) out.loss = history.logs.back().Get("loss");
  return out;
}

using Overlap = MultiWorkerMirroredOptions::Overlap;

// What each rank has after training under the strategy.
std::vector<Trained> TrainOn(int ranks, const Job& job, MultiWorkerMirroredOptions options = {},
                             int fake_hosts = 0, std::string* description = nullptr) {
  std::vector<Trained> results(ranks);
  RunRanks(ranks, [&](Communicator& comm) {
    const auto context = JobContext::ForRank(comm.Split(0, comm.rank()), fake_hosts);
    const auto strategy = std::make_shared<MultiWorkerMirrored>(*context, options);
    if (description != nullptr && comm.rank() == 0) *description = strategy->Describe();
    results[comm.rank()] = Train(job, strategy);
    context->Finish();
  });
  return results;
}

void ExpectNear(const Trained& a, const Trained& b, double tolerance) {
  ASSERT_EQ(a.weights.size(), b.weights.size());
  for (size_t v = 0; v < a.weights.size(); ++v) {
    ASSERT_EQ(a.weights[v].size(), b.weights[v].size());
    for (size_t i = 0; i < a.weights[v].size(); ++i) {
      ASSERT_NEAR(a.weights[v][i], b.weights[v][i], tolerance) << "variable " << v << " at " << i;
    }
  }
  EXPECT_NEAR(a.loss, b.loss, 1e-6);
}

void ExpectEqualsOneDevice(int ranks, const Job& job, MultiWorkerMirroredOptions options,
                           int fake_hosts = 0, double tolerance = 1e-6) {
  const Trained one = Train(job, std::make_shared<OneDeviceStrategy>());
  for (const Trained& rank : TrainOn(ranks, job, options, fake_hosts)) {
    ExpectNear(rank, one, tolerance);
  }
}

// SGD: the steps' rounding errors are not blown up, as Adam does where gradients
// are nearly zero.
const Job kSgd{.optimizer = "SGD", .optimizer_options = {{"learning_rate", 0.1}}};

class Replicas : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Counts, Replicas, testing::Values(1, 2, 3, 4));

TEST_P(Replicas, NodeSharedEqualsOneDevice) { ExpectEqualsOneDevice(GetParam(), kSgd, {}); }

TEST_P(Replicas, AllReducedEqualsOneDevice) {
  ExpectEqualsOneDevice(GetParam(), kSgd, {.node_shared = false, .overlap = Overlap::kOff});
}

TEST_P(Replicas, OverlappingEqualsOneDevice) {
  ExpectEqualsOneDevice(GetParam(), kSgd, {.node_shared = false, .overlap = Overlap::kOn});
}

TEST(MultiWorkerMirrored, PretendedHostsEqualOneDevice) {
  ExpectEqualsOneDevice(4, kSgd, {}, 2);
  ExpectEqualsOneDevice(4, kSgd, {.overlap = Overlap::kOn}, 2);
  // Hosts of different sizes are all-reduced.
  ExpectEqualsOneDevice(3, kSgd, {}, 2);
  // One rank a host: nothing to share.
  ExpectEqualsOneDevice(2, kSgd, {}, 2);
}

TEST(MultiWorkerMirrored, UnevenBatchesEqualOneDevice) {
  Job job = kSgd;
  job.rows = 50;  // batches of 24, 24, 2: a rank of 3 gets no row of the last
  ExpectEqualsOneDevice(3, job, {});
  ExpectEqualsOneDevice(3, job, {.node_shared = false});
}

TEST(MultiWorkerMirrored, SeveralBucketsEqualOneDevice) {
  Job job = kSgd;
  job.max_bucket_bytes = 256;
  ExpectEqualsOneDevice(2, job, {});
  ExpectEqualsOneDevice(2, job, {.node_shared = false, .overlap = Overlap::kOn});
}

TEST(MultiWorkerMirrored, ClippingByNormSeesAllSlices) {
  for (const char* clip : {"global_clipnorm", "clipnorm", "clipvalue"}) {
    Job job = kSgd;
    job.optimizer_options = {{"learning_rate", 0.1}, {clip, 0.05}};
    SCOPED_TRACE(clip);
    ExpectEqualsOneDevice(2, job, {});
    ExpectEqualsOneDevice(4, job, {}, 2);
    ExpectEqualsOneDevice(2, job, {.node_shared = false});
  }
}

TEST(MultiWorkerMirrored, DropoutMasksDoNotDependOnTheReplicas) {
  Job job = kSgd;
  job.dropout = true;
  ExpectEqualsOneDevice(3, job, {});
}

TEST(MultiWorkerMirrored, AccumulatedStepsEqualOneDevice) {
  Job job = kSgd;
  job.accumulate = 2;
  ExpectEqualsOneDevice(2, job, {});
  ExpectEqualsOneDevice(2, job, {.node_shared = false});
}

TEST(MultiWorkerMirrored, AdamFollowsOneDevice) {
  ExpectEqualsOneDevice(2, {}, {}, 0, 2e-5);
  ExpectEqualsOneDevice(2, {}, {.node_shared = false}, 0, 2e-5);
}

TEST(MultiWorkerMirrored, NodeSharedAndAllReducedAgreeBitForBitOnTwoRanks) {
  for (const bool buckets : {false, true}) {
    Job job;
    if (buckets) job.max_bucket_bytes = 256;
    const auto shared = TrainOn(2, job, {});
    const auto reduced = TrainOn(2, job, {.node_shared = false});
    const auto overlapped = TrainOn(2, job, {.node_shared = false, .overlap = Overlap::kOn});
    for (int r = 0; r < 2; ++r) {
      EXPECT_EQ(shared[r].weights, reduced[r].weights);
      EXPECT_EQ(shared[r].weights, overlapped[r].weights);
      EXPECT_EQ(shared[r].loss, reduced[r].loss);
    }
    EXPECT_EQ(shared[0].weights, shared[1].weights);
  }
}

TEST(MultiWorkerMirrored, NormsHaveTheSameBitsNodeSharedAndAllReduced) {
  for (const char* clip : {"global_clipnorm", "clipnorm"}) {
    for (const int ranks : {2, 3}) {
      Job job = kSgd;
      job.wide = true;
      job.max_bucket_bytes = 20'000;
      job.optimizer_options = {{"learning_rate", 0.1}, {clip, 0.05}};
      SCOPED_TRACE(fmt::format("{} {}", clip, ranks));
      const auto shared = TrainOn(ranks, job, {});
      const auto reduced = TrainOn(ranks, job, {.node_shared = false, .overlap = Overlap::kOff});
      EXPECT_EQ(shared[0].weights, reduced[0].weights);
      EXPECT_EQ(shared[1].weights, reduced[1].weights);
    }
  }
}

// --- Gradients by their factors ----------------------------------------------------------

TEST(MultiWorkerMirrored, GradientsOfFactorsEqualOneDevice) {
  Job job = kSgd;
  job.wide = true;
  job.rows = 49;  // batches of 24, 24 and 1: the last has whole gradients
  for (const int ranks : {2, 3, 4}) ExpectEqualsOneDevice(ranks, job, {});
  ExpectEqualsOneDevice(4, job, {}, 2);
  job.max_bucket_bytes = 40'000;
  ExpectEqualsOneDevice(2, job, {});
  job.optimizer_options = {{"learning_rate", 0.1}, {"global_clipnorm", 0.05}};
  ExpectEqualsOneDevice(3, job, {});
  job.accumulate = 2;
  ExpectEqualsOneDevice(2, job, {});
}

TEST(MultiWorkerMirrored, GradientsOfFactorsHaveTheBitsOfWholeOnes) {
  Job job;
  job.wide = true;
  const auto shared = TrainOn(2, job, {});
  const auto reduced = TrainOn(2, job, {.node_shared = false});
  for (int r = 0; r < 2; ++r) {
    EXPECT_EQ(shared[r].weights, reduced[r].weights);
    EXPECT_EQ(shared[r].loss, reduced[r].loss);
  }
}

// Passes everything on and counts what comes by its factors.
class CountingProducts final : public Strategy {
 public:
  explicit CountingProducts(std::shared_ptr<Strategy> real) : real_(std::move(real)) {}
  size_t products = 0;

  std::string Describe() const override { return real_->Describe(); }
  InputShard input_shard() const override { return real_->input_shard(); }
  bool is_chief() const override { return real_->is_chief(); }
  std::shared_ptr<Buffer> AllocateBucket(BucketKind kind, const std::string& name,
                                         size_t bytes) override {
    return real_->AllocateBucket(kind, name, bytes);
  }
  bool TakesProduct(int64_t rows, int64_t m, int64_t n) const override {
    return real_->TakesProduct(rows, m, n);
  }
  void BuildUpdate(UpdateStep& step) override {
    for (const FlatBucket& bucket : step.buckets()) products += bucket.products.size();
    real_->BuildUpdate(step);
  }
  void SyncInitialState(const std::vector<Tensor>& t) override { real_->SyncInitialState(t); }
  void SumAcrossReplicas(std::span<double> values) override { real_->SumAcrossReplicas(values); }
  uint32_t EndStep(uint32_t requests) override { return real_->EndStep(requests); }

 private:
  std::shared_ptr<Strategy> real_;
};

TEST(MultiWorkerMirrored, TakesFactorsWhereTheyAreSmaller) {
  for (const bool node_shared : {true, false}) {
    for (const bool wide : {true, false}) {
      Job job = kSgd;
      job.wide = wide;
      job.epochs = 1;
      std::array<size_t, 2> products{};
      RunRanks(2, [&](Communicator& comm) {
        const auto context = JobContext::ForRank(comm.Split(0, comm.rank()));
        const auto counting = std::make_shared<CountingProducts>(
            std::make_shared<MultiWorkerMirrored>(
                *context, MultiWorkerMirroredOptions{.node_shared = node_shared}));
        Train(job, counting);
        products[comm.rank()] = counting->products;
        context->Finish();
      });
      // 37 x 150 and 150 x 90, not 6 x 37 and 90 x 3.
      const size_t expected = node_shared && wide ? 2 : 0;
      EXPECT_EQ(products, (std::array{expected, expected}));
    }
  }
}

TEST(MultiWorkerMirrored, FactorsThatAreNotFiniteStopTheStep) {
  Job job = kSgd;
  job.wide = true;
  job.epochs = 1;
  for (job.bad_row = 0; PlaceInBatch(job) < job.batch / 2; ++job.bad_row) {}  // not the chief's
  std::atomic<int> named = 0;
  std::string bad_row;
  RunRanks(2, [&](Communicator& comm) {
    const auto context = JobContext::ForRank(comm.Split(0, comm.rank()));
    try {
      Train(job, std::make_shared<MultiWorkerMirrored>(*context));
      ADD_FAILURE() << "trained on infinity";
    } catch (const NonFiniteError& e) {
      ++named;
      bad_row = std::string(e.what());
      context->ReportFailure(e.what());
    } catch (const UnavailableError&) {
      // The other had it.
    }
  });
  EXPECT_EQ(named, 1);
  // Of the whole batch, whoever had it.
  EXPECT_THAT(bad_row, HasSubstr(fmt::format("row {} of the batch", PlaceInBatch(job))));
}

TEST(MultiWorkerMirrored, SaysWhatItDoes) {
  std::string text;
  Job job = kSgd;
  job.epochs = 1;
  TrainOn(2, job, {}, 0, &text);
  EXPECT_EQ(text, "multi_worker_mirrored: 2 replicas, node-shared");
  TrainOn(4, job, {.overlap = Overlap::kOff}, 2, &text);
  EXPECT_EQ(text, "multi_worker_mirrored: 4 replicas on 2 hosts, node-shared, all-reduced");
  TrainOn(2, job, {.node_shared = false, .overlap = Overlap::kOn}, 0, &text);
  EXPECT_EQ(text, "multi_worker_mirrored: 2 replicas, all-reduced (overlapping)");
}

TEST(MultiWorkerMirrored, ChiefsStateReachesEveryReplica) {
  for (const int hosts : {0, 2}) {
    RunRanks(4, [&](Communicator& comm) {
      const auto context = JobContext::ForRank(comm.Split(0, comm.rank()), hosts);
      MultiWorkerMirrored strategy(*context);
      const auto shared = strategy.AllocateBucket(BucketKind::kVariables, "b", 64);
      Tensor common(DType::kFloat32, {16}, shared);
      Tensor own = Tensor::Full<float>({5}, static_cast<float>(comm.rank()));
      if (comm.rank() == 0) std::fill_n(common.mutable_data<float>(), 16, 3.0f);
      strategy.SyncInitialState({common, own, Tensor::Zeros(DType::kInt64, {0})});
      EXPECT_EQ(common.ToVector<float>(), std::vector<float>(16, 3.0f));
      EXPECT_EQ(own.ToVector<float>(), std::vector<float>(5, 0.0f));
      comm.Barrier();
    });
  }
}

TEST(MultiWorkerMirrored, SumsAreAddedInReplicaOrder) {
  RunRanks(3, [](Communicator& comm) {
    const auto context = JobContext::ForRank(comm.Split(0, comm.rank()));
    MultiWorkerMirrored strategy(*context);
    const double parts[] = {1e17, 1.0, -1e17};
    std::vector<double> values{parts[comm.rank()], 1.0};
    strategy.SumAcrossReplicas(values);
    volatile double expected = parts[0] + parts[1];
    expected = expected + parts[2];
    EXPECT_EQ(values[0], expected);
    EXPECT_EQ(values[1], 3.0);
    strategy.SumAcrossReplicas({});
  });
}

// One replica asks to stop; all leave after the same step.
class StopAt final : public Callback {
 public:
  StopAt(int64_t step, bool ask) : step_(step), ask_(ask) { set_name("StopAt"); }
  int64_t FirstStep(Trainer&) override { return 1; }
  int64_t OnStep(Trainer& trainer) override {
    if (ask_ && trainer.step() == step_) trainer.RequestStop();
    return 1;
  }
  void OnTrainEnd(Trainer& trainer) override { ended_at = trainer.step(); }
  int64_t ended_at = -1;

 private:
  int64_t step_;
  bool ask_;
};

// Asks for a checkpoint after the second step of the first epoch.
class Ask final : public Callback {
 public:
  int64_t FirstStep(Trainer& trainer) override { return trainer.epoch() == 0 ? 2 : kNever; }
  int64_t OnStep(Trainer& trainer) override {
    trainer.RequestCheckpoint();
    return kNever;
  }
};

// What each of two ranks has at the end, moving averages included.
std::vector<Trained> TrainNormalized(const std::string& dir, int64_t max_steps, bool ask) {
  Job job = kSgd;
  job.normalized = true;
  job.epochs = 2;
  job.max_steps = max_steps;
  std::vector<Trained> results(2);
  RunRanks(2, [&](Communicator& comm) {
    const auto context = JobContext::ForRank(comm.Split(0, comm.rank()));
    std::vector<CallbackPtr> callbacks = {
        Callbacks().Make("ModelCheckpoint", {{"every", "never"}}, {.run_dir = dir})};
    if (ask) callbacks.push_back(std::make_shared<Ask>());
    results[comm.rank()] = Train(job, std::make_shared<MultiWorkerMirrored>(*context), callbacks);
    context->Finish();
  });
  return results;
}

TEST(MultiWorkerMirrored, ASaveChangesNoMovingAverageAndAResumeHasEachReplicas) {
  const TempDir plain("mirrored"), asked("mirrored"), stopped("mirrored");
  const auto whole = TrainNormalized(plain.path(), 0, false);
  const auto saved = TrainNormalized(asked.path(), 0, true);
  const auto part = TrainNormalized(stopped.path(), 6, false);
  EXPECT_NE(part[0].weights, part[1].weights);  // in the middle of an epoch
  const auto rest = TrainNormalized(stopped.path(), 0, false);
  for (int r = 0; r < 2; ++r) {
    EXPECT_EQ(saved[r].weights, whole[r].weights);
    EXPECT_EQ(rest[r].weights, whole[r].weights);
  }
  EXPECT_EQ(whole[0].weights, whole[1].weights);
}

TEST(MultiWorkerMirrored, RequestOfOneReplicaStopsAllAtTheSameStep) {
  for (const bool node_shared : {true, false}) {
    for (const int hosts : {0, 2}) {
      std::vector<int64_t> ended(4);
      RunRanks(4, [&](Communicator& comm) {
        const auto context = JobContext::ForRank(comm.Split(0, comm.rank()), hosts);
        const auto strategy = std::make_shared<MultiWorkerMirrored>(
            *context, MultiWorkerMirroredOptions{.node_shared = node_shared});
        const auto stop = std::make_shared<StopAt>(3, comm.rank() == 2);
        Train(kSgd, strategy, {stop});
        ended[comm.rank()] = stop->ended_at;
        context->Finish();
      });
      EXPECT_GE(ended[0], 3);
      EXPECT_LE(ended[0], 6);
      EXPECT_EQ(ended, std::vector<int64_t>(4, ended[0]));
    }
  }
}

TEST(MultiWorkerMirrored, ReplicaThatRaisesEndsTheOthersByName) {
  RunRanks(3, [](Communicator& comm) {
    const auto world = comm.Split(0, comm.rank());
    const auto context = JobContext::ForRank(world);
    const auto strategy = std::make_shared<MultiWorkerMirrored>(*context);
    if (comm.rank() == 1) {
      context->ReportFailure("[test] its data is gone");
      return;
    }
    try {
      Train(kSgd, strategy);
      ADD_FAILURE() << "no exception";
    } catch (const UnavailableError& e) {
      EXPECT_THAT(e.what(), HasSubstr("rank 1 gave up: [test] its data is gone"));
    }
  });
}

}  // namespace
}  // namespace tributary

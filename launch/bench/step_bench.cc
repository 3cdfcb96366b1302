#include "launch/bench/step_bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "core/base/parallel.h"
#include "distribute/job/job_context.h"
#include "launch/bench/floor.h"
#include "launch/roles/callbacks.h"
#include "launch/roles/job_run.h"
#include "launch/roles/run_dir.h"
#include "trainer/callbacks/callback.h"

namespace tributary {
namespace {

using Clock = std::chrono::steady_clock;

double MicrosSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

// Per-step times of blocks of steps.
class Blocks {
 public:
  void Add(double micros_per_step) { times_.push_back(micros_per_step); }
  void Add(const Blocks& other) {
    times_.insert(times_.end(), other.times_.begin(), other.times_.end());
  }
  double median() const { return time().median; }
  StepTime time() const {
    if (times_.empty()) return {};
    std::vector<double> sorted = times_;
    std::sort(sorted.begin(), sorted.end());
    return {sorted.front(), sorted[sorted.size() / 2]};
  }

 private:
  std::vector<double> times_;
};

constexpr double kBlockMicros = 20'000;
constexpr int kWarmUp = 20;
// What is compared is measured in turns, so that a slow moment of the machine hits all.
constexpr int kRounds = 4;

// Runs `step` in blocks that every rank counts alike. `sum` adds a number over the
// ranks that run together (a barrier, too).
template <typename Step, typename Sum>
Blocks Measure(double seconds, const Step& step, const Sum& sum) {
  for (int i = 0; i < kWarmUp; ++i) step();
  const auto begin = Clock::now();
  for (int i = 0; i < kWarmUp; ++i) step();
  const double total = sum(MicrosSince(begin) / kWarmUp), ranks = sum(1);
  const double micros = std::max(total / ranks, 0.05);
  const auto steps = std::max<int64_t>(1, std::llround(kBlockMicros / micros));
  const int blocks = std::clamp<int>(static_cast<int>(seconds * 1e6 / (micros * steps)), 5, 200);
  Blocks result;
  for (int b = 0; b < blocks; ++b) {
    sum(0);
    const auto block = Clock::now();
    for (int64_t i = 0; i < steps; ++i) step();
    result.Add(MicrosSince(block) / static_cast<double>(steps));
  }
  return result;
}

// One full batch of this replica's, in memory of its own.
std::vector<Tensor> FirstBatch(const data::Dataset& data, const Strategy& strategy) {
  const InputShard shard = strategy.input_shard();
  data::Iterator iterator = data.ShardBatches(shard.index, shard.count).MakeIterator();
  const data::Batch* batch = iterator.Next();
  if (!batch) throw InvalidArgumentError("[bench] the training data is empty");
  std::vector<Tensor> tensors;
  for (const Tensor& tensor : batch->tensors) tensors.push_back(tensor.Clone());
  return tensors;
}

// Times blocks of steps from inside Fit.
class TimingCallback final : public Callback {
 public:
  TimingCallback(int64_t steps, int64_t blocks) : steps_(steps), blocks_(blocks) {}

  int64_t FirstStep(Trainer&) override { return kWarmUp; }
  int64_t OnStep(Trainer& trainer) override {
    if (running_) {
      times_.Add(MicrosSince(begin_) / static_cast<double>(steps_));
      if (--blocks_ == 0) trainer.RequestStop();
    }
    running_ = true;
    begin_ = Clock::now();
    return steps_;
  }
  // What happens between epochs is no part of a step.
  void OnEpochBegin(Trainer&) override { running_ = false; }
  const Blocks& times() const { return times_; }

 private:
  int64_t steps_, blocks_;
  bool running_ = false;
  Clock::time_point begin_;
  Blocks times_;
};

class ScratchFolder {
 public:
  ScratchFolder() : path_(std::filesystem::temp_directory_path() / "tributary-bench-XXXXXX") {
    if (!mkdtemp(path_.data())) {
      throw PermissionDeniedError("[bench] can't make a folder like {}", path_);
    }
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class StepBench {
 public:
  StepBench(const JobConfig& job, const JobContext& context, const StepBenchOptions& options)
      : job_(job), context_(context), options_(options) {}

  StepBenchResult Run() {
    const auto begin = Clock::now();
    JobRun run(job_, MakeStrategy(job_, context_));
    run.Build();
    Strategy& strategy = run.trainer->strategy();
    const auto sum = [&](double value) {
      strategy.SumAcrossReplicas({&value, 1});
      return value;
    };
    const std::vector<Tensor> batch = FirstBatch(run.Set("train"), strategy);
    result_.rows = batch[0].dim(0);
    result_.replicas = static_cast<int>(sum(1));
    result_.threads = NumThreads();
    result_.strategy = strategy.Describe();
    Plan* plan = Bind(*run.trainer, batch);
    Step(*run.trainer, plan);
    result_.startup_us = MicrosSince(begin);
    result_.plan_launches = static_cast<int>(plan->report().steps.size());

    StepFloor floor(run.trainer->TrainGraph(result_.rows));
    result_.flops = floor.flops();
    result_.update_bytes = floor.update_bytes();
    Blocks bare, train, least;
    for (int round = 0; round < kRounds; ++round) {
      Bind(*run.trainer, batch);  // Fit binds its own
      bare.Add(Measure(seconds_, [&] { Step(*run.trainer, plan); }, sum));
      // Every rank must count the same steps.
      train.Add(MeasureTraining(run, sum(bare.median()) / result_.replicas));
      if (floor.primitives() == 0) continue;
      least.Add(Measure(seconds_, [&] { floor.Run(); }, [](double value) { return value; }));
    }
    result_.bare = bare.time();
    result_.train = train.time();
    result_.floor = least.time();
    if (result_.replicas > 1) MeasureIndependent(run, plan, batch, sum);
    return result_;
  }

 private:
  Plan* Bind(Trainer& trainer, const std::vector<Tensor>& batch) const {
    Plan* plan = trainer.TrainPlan(batch[0].dim(0));
    for (size_t i = 0; i < batch.size(); ++i) plan->BindInput(static_cast<int>(i), batch[i]);
    return plan;
  }

  static void Step(Trainer& trainer, Plan* plan) {
    trainer.BeginStep();
    plan->Run();
    trainer.EndStep();
  }

  // The step inside Fit, with the callbacks of the job.
  Blocks MeasureTraining(JobRun& run, double bare_us) {
    const data::Dataset& data = run.Set("train");
    // Long enough to be timed, short enough to fit into an epoch.
    const int64_t in_epoch = data.cardinality() == data::Dataset::kInfinite
                                 ? INT64_MAX
                                 : data.cardinality() - kWarmUp - 2;
    const auto steps =
        std::clamp<int64_t>(std::llround(kBlockMicros / std::max(bare_us, 0.05)), 1,
                            std::max<int64_t>(in_epoch, 1));
    const auto blocks =
        std::clamp<int64_t>(std::llround(seconds_ * 1e6 / (bare_us * steps)), 5, 200);
    const auto timing = std::make_shared<TimingCallback>(steps, blocks);
    FitOptions fit;
    fit.epochs = INT32_MAX;
    // What `train` does around the steps, in a folder that goes away.
    JobConfig job = job_;
    const ScratchFolder folder;
    job.run_dir = folder.path();
    fit.callbacks = MakeCallbacks(job, RunDir(job), /*quiet=*/true);
    fit.callbacks.push_back(timing);
    run.trainer->Fit(data, fit);
    return timing->times();
  }

  // The same step on every rank at once, with nothing in common; in turns with the
  // step that they make together.
  template <typename Sum>
  void MeasureIndependent(JobRun& run, Plan* together, const std::vector<Tensor>& batch,
                          const Sum& sum) {
    JobRun alone(job_, Strategies().Make("one_device", OptionNode::Map()));
    alone.Build();
    Plan* plan = Bind(*alone.trainer, batch);
    Bind(*run.trainer, batch);
    Blocks both, own;
    for (int round = 0; round < kRounds; ++round) {
      both.Add(Measure(seconds_, [&] { Step(*run.trainer, together); }, sum));
      own.Add(Measure(seconds_, [&] { Step(*alone.trainer, plan); }, sum));
    }
    result_.together = both.time();
    result_.independent = own.time();
  }

  const JobConfig& job_;
  const JobContext& context_;
  const StepBenchOptions options_;
  const double seconds_ = options_.seconds / kRounds;
  StepBenchResult result_;
};

}  // namespace

StepBenchResult BenchStep(const JobConfig& job, const JobContext& context,
                          const StepBenchOptions& options) {
  return StepBench(job, context, options).Run();
}

}  // namespace tributary

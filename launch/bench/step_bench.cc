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

double MedianOf(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Per-step times of blocks of steps, in several turns.
class Blocks {
 public:
  void Add(double micros_per_step) { turns_.back().push_back(micros_per_step); }
  void BeginTurn() { turns_.emplace_back(); }
  StepTime time() const {
    std::vector<double> all;
    for (const auto& turn : turns_) all.insert(all.end(), turn.begin(), turn.end());
    if (all.empty()) return {};
    return {*std::min_element(all.begin(), all.end()), MedianOf(all)};
  }
  // The median over the turns of this one's time to that one's.
  double Over(const Blocks& other) const {
    std::vector<double> ratios;
    for (size_t t = 0; t < std::min(turns_.size(), other.turns_.size()); ++t) {
      ratios.push_back(MedianOf(turns_[t]) / MedianOf(other.turns_[t]));
    }
    return ratios.empty() ? 0 : MedianOf(ratios);
  }

 private:
  std::vector<std::vector<double>> turns_;
};

constexpr double kBlockMicros = 20'000;
// What is compared is measured in turns of a fraction of a second: a slow moment of the
// machine hits all, and what lasts longer falls out of the ratio.
constexpr int kTurns = 20;

// How many steps a block, a turn and the time before it have.
struct Counts {
  int64_t steps = 1, blocks = 1, warm_up = 1;

  Counts(double micros, double seconds) {
    const auto in = [&](double time, double least, double most) {
      return std::llround(std::clamp(time / std::max(micros, 0.05), least, most));
    };
    steps = in(kBlockMicros, 1, 1e6);
    blocks = std::llround(std::clamp(
        seconds * 1e6 / kTurns / (std::max(micros, 0.05) * static_cast<double>(steps)), 1.0, 100.0));
    warm_up = in(kBlockMicros, 2, 40);
  }
};

// The time of a step that was not run before. `sum` adds a number over the ranks that run
// together, so that all of them count alike.
template <typename Step, typename Sum>
double FirstLook(const Step& step, const Sum& sum) {
  const auto start = Clock::now();
  int64_t steps = 0;
  while (steps < 20 && sum(MicrosSince(start)) / sum(1) < 200'000) {
    step();
    ++steps;
  }
  const auto begin = Clock::now();
  for (int64_t i = 0; i < steps; ++i) step();
  return sum(MicrosSince(begin) / static_cast<double>(steps)) / sum(1);
}

// One turn of `step`. `sum` is a barrier, too.
template <typename Step, typename Sum>
void Measure(const Counts& counts, const Step& step, const Sum& sum, Blocks* blocks) {
  for (int64_t i = 0; i < counts.warm_up; ++i) step();
  blocks->BeginTurn();
  for (int64_t b = 0; b < counts.blocks; ++b) {
    sum(0);
    const auto block = Clock::now();
    for (int64_t i = 0; i < counts.steps; ++i) step();
    blocks->Add(MicrosSince(block) / static_cast<double>(counts.steps));
  }
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
  TimingCallback(const Counts& counts, Blocks* blocks)
      : counts_(counts), left_(counts.blocks), times_(blocks) {
    times_->BeginTurn();
  }

  int64_t FirstStep(Trainer&) override { return counts_.warm_up; }
  int64_t OnStep(Trainer& trainer) override {
    if (running_) {
      times_->Add(MicrosSince(begin_) / static_cast<double>(counts_.steps));
      if (--left_ == 0) trainer.RequestStop();
    }
    running_ = true;
    begin_ = Clock::now();
    return counts_.steps;
  }
  // What happens between epochs is no part of a step.
  void OnEpochBegin(Trainer&) override { running_ = false; }

 private:
  const Counts counts_;
  int64_t left_;
  Blocks* const times_;
  bool running_ = false;
  Clock::time_point begin_;
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
    const auto alone = [](double value) { return value; };
    const auto bare_step = [&] { Step(*run.trainer, plan); };
    const auto floor_step = [&] { floor.Run(); };
    const bool has_floor = floor.primitives() > 0;
    const Counts counts(FirstLook(bare_step, sum), options_.seconds);
    const Counts of_floor(has_floor ? FirstLook(floor_step, alone) : 1, options_.seconds);
    Blocks bare, train, least;
    for (int turn = 0; turn < kTurns; ++turn) {
      Bind(*run.trainer, batch);  // Fit binds its own
      Measure(counts, bare_step, sum, &bare);
      MeasureTraining(run, counts, &train);
      if (has_floor) Measure(of_floor, floor_step, alone, &least);
    }
    result_.bare = bare.time();
    result_.train = train.time();
    result_.floor = least.time();
    result_.train_over_bare = train.Over(bare);
    result_.bare_over_floor = bare.Over(least);
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
  void MeasureTraining(JobRun& run, Counts counts, Blocks* times) {
    const data::Dataset& data = run.Set("train");
    // Short enough to fit into an epoch.
    if (data.cardinality() != data::Dataset::kInfinite) {
      counts.warm_up = std::clamp<int64_t>(data.cardinality() / 4, 1, counts.warm_up);
      const int64_t left = data.cardinality() - counts.warm_up - 2;
      counts.steps = std::clamp<int64_t>(left, 1, counts.steps);
    }
    const auto timing = std::make_shared<TimingCallback>(counts, times);
    FitOptions fit;
    fit.epochs = INT32_MAX;
    // What `train` does around the steps, in a folder that goes away.
    JobConfig job = job_;
    const ScratchFolder folder;
    job.run_dir = folder.path();
    fit.callbacks = MakeCallbacks(job, RunDir(job), /*quiet=*/true);
    fit.callbacks.push_back(timing);
    run.trainer->Fit(data, fit);
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
    const auto step = [&] { Step(*run.trainer, together); };
    const auto own_step = [&] { Step(*alone.trainer, plan); };
    const Counts counts(FirstLook(own_step, sum), options_.seconds);
    Blocks both, own;
    for (int turn = 0; turn < kTurns; ++turn) {
      Measure(counts, step, sum, &both);
      Measure(counts, own_step, sum, &own);
    }
    result_.together = both.time();
    result_.independent = own.time();
    result_.rate_over_independent = own.Over(both);
  }

  const JobConfig& job_;
  const JobContext& context_;
  const StepBenchOptions options_;
  StepBenchResult result_;
};

}  // namespace

StepBenchResult BenchStep(const JobConfig& job, const JobContext& context,
                          const StepBenchOptions& options) {
  return StepBench(job, context, options).Run();
}

}  // namespace tributary

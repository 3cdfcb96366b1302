#include "trainer/loop/worker_loop.h"

namespace tributary {
namespace {

// The batch under way and the next one, which is looked at ahead.
data::Iterator WorkersPart(const data::Dataset& data, const Strategy& strategy) {
  const InputShard shard = strategy.input_shard();
  return data.ShardBatches(shard.index, shard.count).Prefetch({.live = 2}).MakeIterator();
}

}  // namespace

void Trainer::Work(const data::Dataset& data, const FitOptions& options) {
  if (data.batch_size() == 0) {
    throw InvalidArgumentError("[work] the data is not batched; call Batch on it");
  }
  StepQueue* queue = strategy().step_queue();
  if (!queue) {
    throw FailedPreconditionError("[work] {} hands out no steps; call Fit",
                                  strategy().Describe());
  }
  Build(data.element_spec());
  WorkerLoop(*this, data, options).Run(*queue);
}

WorkerLoop::WorkerLoop(Trainer& trainer, const data::Dataset& data, const FitOptions& options)
    : trainer_(trainer), impl_(*trainer.impl_), data_(WorkersPart(data, trainer.strategy())),
      cardinality_(data.cardinality()), steps_per_epoch_(options.steps_per_epoch) {
  if (steps_per_epoch_ == 0) steps_per_epoch_ = cardinality_;
}

void WorkerLoop::Run(StepQueue& queue) {
  Program::Figures& figures = impl_.program.train;
  for (;;) {
    try {
      const std::optional<StepRange> range = queue.Take();
      if (!range) return;
      figures.Reset();
      RunRange(*range);
      queue.Done(figures.State());
    } catch (const std::exception& error) {
      if (!queue.Recover(error)) throw;
    }
  }
}

// Batches are numbered through all epochs: an epoch need not be a pass.
void WorkerLoop::Seek(const StepRange& range) {
  const int64_t batch = range.epoch * steps_per_epoch_ + range.begin;
  if (cardinality_ == data::Dataset::kInfinite) return data_.Seek(0, batch);
  data_.Seek(static_cast<uint64_t>(batch / cardinality_), batch % cardinality_);
}

BoundPlan* WorkerLoop::PlanFor(const data::Batch& batch) {
  const StepKey key{.rows = batch.examples, .global_rows = batch.global_examples};
  if (!plan_ || !(key == key_)) {
    plan_ = impl_.TrainPlanFor(key);
    key_ = key;
  }
  return plan_;
}

void WorkerLoop::RunRange(const StepRange& range) {
  ParameterService* elsewhere = trainer_.strategy().parameters();
  if (range.learning_rate >= 0) {
    impl_.program.optimizer->set_learning_rate(range.learning_rate);
  }
  Seek(range);
  const auto next = [&]() -> const data::Batch* {
    const data::Batch* batch = data_.Next();
    if (batch) return batch;
    data_.Rewind();  // an epoch may go on in the next pass
    return data_.Next();
  };
  // What a step looks up goes out with the push of the step before it.
  const auto announce = [&](BoundPlan* plan, const data::Batch& batch) {
    const std::vector<Tensor>* ids = elsewhere ? plan->LookupsOf(batch.tensors) : nullptr;
    if (ids) elsewhere->Announce(*ids);
  };
  const data::Batch* batch = next();
  BoundPlan* plan = PlanFor(*batch);
  announce(plan, *batch);
  for (int64_t i = range.begin; i < range.end; ++i) {
    const data::Batch* following = i + 1 < range.end ? next() : nullptr;
    BoundPlan* following_plan = nullptr;
    if (following) {
      following_plan = PlanFor(*following);
      announce(following_plan, *following);
    }
    Step(plan, *batch, range.first_step + (i - range.begin));
    batch = following;
    plan = following_plan;
  }
}

void WorkerLoop::Step(BoundPlan* plan, const data::Batch& batch, int64_t step) {
  Program& program = impl_.program;
  *impl_.step = step;
  program.optimizer->SetIterations(step);
  plan->Bind(batch.tensors);
  program.optimizer->BeginUpdate();
  impl_.RunTrainPlan(plan, batch.tensors, batch.global_examples);
  const bool asked = trainer_.requests_.load(std::memory_order_relaxed) != 0;
  trainer_.strategy().EndStep(asked ? trainer_.requests_.exchange(0) : 0);
}

}  // namespace tributary

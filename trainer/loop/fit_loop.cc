#include "trainer/loop/fit_loop.h"

#include "core/base/logging.h"

namespace tributary {
namespace {

data::Iterator ShardOf(const data::Dataset& data, const Strategy& strategy) {
  const InputShard shard = strategy.input_shard();
  return data.ShardBatches(shard.index, shard.count).MakeIterator();
}

}  // namespace

History Trainer::Fit(const data::Dataset& data, const FitOptions& options) {
  if (data.batch_size() == 0) {
    throw InvalidArgumentError("[fit] the data is not batched; call Batch on it");
  }
  Build(data.element_spec());
  return FitLoop(*this, data, options).Run();
}

FitLoop::FitLoop(Trainer& trainer, const data::Dataset& data, const FitOptions& options)
    : trainer_(trainer), impl_(*trainer.impl_), options_(options),
      data_(ShardOf(data, trainer.strategy())) {
  impl_.steps_per_epoch = options.steps_per_epoch;
  if (impl_.steps_per_epoch == 0) {
    if (data.cardinality() == data::Dataset::kInfinite) {
      throw InvalidArgumentError("[fit] the data never ends; set steps_per_epoch");
    }
    impl_.steps_per_epoch = data.cardinality();
  }
  if (impl_.steps_per_epoch == 0) throw InvalidArgumentError("[fit] the data is empty");
  impl_.total_epochs = options.epochs;
  impl_.global_batch = data.batch_size();
  rows_ = data.rows();
  impl_.data = &data_;
  impl_.stop_after_epoch = false;
  if (options.max_steps > 0) max_steps_ = options.max_steps;
  impl_.max_steps = max_steps_;
  impl_.weights_set = false;
  for (const CallbackPtr& callback : options.callbacks) {
    if (!callback->chief_only() || trainer.is_chief()) impl_.callbacks.push_back(callback);
  }
}

FitLoop::~FitLoop() {
  impl_.data = nullptr;
  impl_.batch = nullptr;
  impl_.callbacks.clear();
}

template <typename Fn>
void FitLoop::ForEachCallback(Fn fn) {
  for (const CallbackPtr& callback : impl_.callbacks) fn(*callback);
}

History FitLoop::Run() {
  ForEachCallback([&](Callback& c) { c.OnTrainBegin(trainer_); });
  Resume();
  const int64_t first = trainer_.step();
  bool more = !HasEnded();
  while (more && impl_.epoch < options_.epochs &&
         trainer_.step() < max_steps_) {
    more = RunEpoch();
  }
  history_.stopped_early = !more;
  if (trainer_.step() > first && !told_to_stop_) {
    ForEachCallback([&](Callback& c) { c.OnTrainDone(trainer_); });
  }
  history_.weights_set = impl_.weights_set;
  ForEachCallback([&](Callback& c) { c.OnTrainEnd(trainer_); });
  return std::move(history_);
}

void FitLoop::Resume() {
  if (!impl_.has_restored) return;
  impl_.has_restored = false;
  resumed_ = impl_.restored.step > 0;
  const TrainingState& state = impl_.restored;
  if (!state.data.empty()) data_.RestoreState(state.data);
  resumed_in_epoch_ = state.step_in_epoch > 0;
  for (size_t i = 0; i < impl_.callbacks.size(); ++i) {
    Callback& callback = *impl_.callbacks[i];
    const std::string key = impl_.CallbackKey(i);
    const auto tensors = impl_.restored.tensors.find(key);
    if (tensors != impl_.restored.tensors.end()) callback.RestoreTensors(std::move(tensors->second));
    const auto found = state.callbacks.find(key);
    if (found != state.callbacks.end()) callback.RestoreState(found->second);
  }
}

bool FitLoop::HasEnded() {
  if (!resumed_) return false;
  const auto tell = [&](const std::string& what) {
    if (!trainer_.is_chief()) return;
    LogInfo("[fit] this run is finished: {}; a fresh start trains anew", what);
  };
  const int64_t step = trainer_.step();
  if (step >= max_steps_) {
    tell(fmt::format("all of its {} steps are done; more of them go on from here", max_steps_));
  } else if (impl_.epoch >= options_.epochs) {
    tell(fmt::format("all of its {} epochs are done, {} steps; more of them go on from here",
                     options_.epochs, step));
  }
  bool ended = false;
  ForEachCallback([&](Callback& c) {
    if (ended || !c.HasEnded()) return;
    ended = true;
    tell(fmt::format("{} ended it after {} of {} epochs, at step {}; with more patience, or "
                     "without it, it goes on from here", c.name(), impl_.epoch, options_.epochs,
                     step));
  });
  return ended;
}

bool FitLoop::RunEpoch() {
  if (!resumed_in_epoch_) {
    impl_.step_in_epoch = 0;
    impl_.examples = 0;
    impl_.program.train.Reset();
  }
  resumed_in_epoch_ = false;
  group_step_ = 0;
  ForEachCallback([&](Callback& c) { c.OnEpochBegin(trainer_); });
  due_.clear();
  ForEachCallback([&](Callback& c) {
    const int64_t first = c.FirstStep(trainer_);
    if (first != Callback::kNever) due_.push_back({&c, impl_.step_in_epoch + first});
  });
  FindNextDue();
  if (StepServer* server = trainer_.strategy().step_server()) {
    return ServeEpoch(*server) && EndEpochAndGoOn();
  }
  bool empty_pass = false;
  while (impl_.step_in_epoch < impl_.steps_per_epoch) {
    const data::Batch* batch = data_.Next();
    if (!batch) {
      if (empty_pass) throw InvalidArgumentError("[fit] the data is empty");
      if (options_.steps_per_epoch == 0) break;
      data_.Rewind();
      empty_pass = true;
      continue;
    }
    empty_pass = false;
    Step(*batch);
    if (BetweenSteps()) return false;
  }
  return EndEpochAndGoOn();
}

bool FitLoop::EndEpochAndGoOn() {
  EndEpoch();
  const bool last = impl_.epoch >= options_.epochs || *impl_.step >= max_steps_;
  if (last || impl_.stop_after_epoch) told_to_stop_ = false;  // nothing was left to stop
  return !impl_.stop_after_epoch && !told_to_stop_;
}

StepKey FitLoop::KeyFor(const data::Batch& batch) const {
  StepKey key{.rows = batch.examples, .global_rows = batch.global_examples, .group = group_};
  if (group_ > 1) {
    key.phase = group_step_ == 0            ? StepKey::Phase::kFirst
                : group_step_ + 1 == group_ ? StepKey::Phase::kLast
                                            : StepKey::Phase::kMiddle;
  }
  return key;
}

void FitLoop::Step(const data::Batch& batch) {
  if (group_step_ == 0) {
    group_ = std::min<int64_t>(impl_.options.accumulate_steps,
                               impl_.steps_per_epoch - impl_.step_in_epoch);
  }
  const StepKey key = KeyFor(batch);
  if (!plan_ || !(key == key_)) {
    plan_ = impl_.TrainPlanFor(key);
    key_ = key;
  }
  plan_->Bind(batch.tensors);
  impl_.batch = &batch.tensors;
  trainer_.strategy().BeginStep();
  Program& program = impl_.program;
  const bool update = ++group_step_ == group_;
  if (update) program.optimizer->BeginUpdate();
  impl_.RunTrainPlan(plan_, batch.tensors, key.global_rows);
  if (update) {
    program.optimizer->EndUpdate();
    group_step_ = 0;
  }
  ++*impl_.step;
  ++impl_.step_in_epoch;
  impl_.examples += batch.global_examples;
}

// --- Steps that others do --------------------------------------------------------

int64_t FitLoop::WindowEnd() const {
  int64_t end = std::min(impl_.steps_per_epoch,
                         impl_.step_in_epoch + (max_steps_ - *impl_.step));
  for (const Due& due : due_) {
    if (due.callback->exact_steps()) end = std::min(end, std::max(due.at, impl_.step_in_epoch + 1));
  }
  return end;
}

void FitLoop::Advance(int64_t step_in_epoch) {
  *impl_.step += step_in_epoch - impl_.step_in_epoch;
  impl_.step_in_epoch = step_in_epoch;
  const int64_t batch = impl_.global_batch;
  impl_.examples = step_in_epoch * batch;
  if (options_.steps_per_epoch == 0) impl_.examples = std::min(impl_.examples, rows_);
}

bool FitLoop::ServeEpoch(StepServer& server) {
  while (impl_.step_in_epoch < impl_.steps_per_epoch) {
    const Optimizer& optimizer = *impl_.program.optimizer;
    const StepRange window{impl_.epoch, impl_.step_in_epoch, WindowEnd(), *impl_.step,
                           optimizer.follows_schedule() ? -1 : optimizer.learning_rate()};
    server.Open(window);
    bool closing = false;
    for (StepServer::Progress progress; !progress.complete;) {
      progress = server.Await(100);
      Advance(window.begin + progress.done);
      AddFigures(server.TakeFigures());
      if (const uint32_t bits = server.TakeRequests()) trainer_.requests_.fetch_or(bits);
      if (trainer_.requests_.load(std::memory_order_relaxed) != 0 && !closing) {
        closing = true;
        server.Close();
      }
      if (impl_.step_in_epoch >= next_due_ && impl_.step_in_epoch < window.end) CallDue();
    }
    impl_.program.optimizer->SetIterations(*impl_.step);
    if (BetweenSteps()) return false;
  }
  return true;
}

void FitLoop::AddFigures(const std::vector<double>& figures) {
  if (figures.empty()) return;
  std::vector<double> sum = impl_.program.train.State();
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += figures[i];
  impl_.program.train.SetState(sum);
}

bool FitLoop::BetweenSteps() {
  uint32_t requests = 0;
  if (trainer_.requests_.load(std::memory_order_relaxed) != 0) {
    requests = trainer_.requests_.exchange(0);
  }
  const bool between_groups = group_step_ == 0;
  const uint32_t agreed = trainer_.strategy().EndStep(between_groups ? requests : 0);
  if (!between_groups) {
    // Nothing that looks at the state happens inside a group.
    if (requests | agreed) trainer_.requests_.fetch_or(requests | agreed);
    return false;
  }
  if (impl_.step_in_epoch >= next_due_) CallDue();
  if (agreed & kCheckpointRequest) {
    ForEachCallback([&](Callback& c) { c.OnCheckpointRequest(trainer_); });
  }
  // An epoch is ended properly where its last step is the last of all.
  const bool inside = impl_.step_in_epoch < impl_.steps_per_epoch;
  const bool enough = *impl_.step >= max_steps_ && inside;
  told_to_stop_ = !enough && (agreed & kStopRequest) != 0;
  return enough || (told_to_stop_ && inside);
}

void FitLoop::CallDue() {
  for (Due& due : due_) {
    if (impl_.step_in_epoch < due.at) continue;
    const int64_t wait = due.callback->OnStep(trainer_);
    due.at = wait == Callback::kNever ? Callback::kNever : impl_.step_in_epoch + wait;
  }
  FindNextDue();
}

void FitLoop::FindNextDue() {
  next_due_ = Callback::kNever;
  for (const Due& due : due_) next_due_ = std::min(next_due_, due.at);
}

void FitLoop::EndEpoch() {
  impl_.batch = nullptr;
  std::vector<double> state = impl_.program.train.State();
  trainer_.strategy().SumAcrossReplicas(state);
  Logs logs = Trainer::Impl::LogsOf(impl_.program.train, state, "");
  trainer_.SyncReplicas();
  if (options_.validation && (impl_.epoch + 1) % options_.validation_freq == 0) {
    for (const auto& [name, value] : trainer_.Evaluate(*options_.validation)) {
      logs.Set("val_" + name, value);
    }
  }
  const int64_t epoch = impl_.epoch++;
  const int64_t steps = std::exchange(impl_.step_in_epoch, 0);
  if (options_.steps_per_epoch == 0) data_.Rewind();
  // Callbacks see the epoch that has ended; Save sees the start of the next.
  impl_.ended = Trainer::Impl::Ended{epoch, steps};
  ForEachCallback([&](Callback& c) { c.OnEpochEnd(trainer_, logs); });
  ForEachCallback([&](Callback& c) { c.OnEpochDone(trainer_); });
  impl_.ended.reset();
  history_.epochs.push_back(epoch);
  history_.logs.push_back(std::move(logs));
}

}  // namespace tributary

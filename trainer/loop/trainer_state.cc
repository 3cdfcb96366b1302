// The state of a training: what replicas have in common, what each has of its own, what a
// checkpoint holds of both.

#include "core/base/logging.h"
#include "trainer/loop/trainer_impl.h"

namespace tributary {
namespace {

std::vector<Tensor> StorageOf(const std::vector<VariablePtr>& variables) {
  std::vector<Tensor> out;
  for (const VariablePtr& variable : variables) out.push_back(variable->storage());
  return out;
}

// Gives modules without a common parent one.
class Holder final : public Module {
 public:
  explicit Holder(std::vector<Child> children) : children_(std::move(children)) {}
  std::vector<Child> children() const override { return children_; }

 private:
  std::vector<Child> children_;
};

// What each replica keeps of its own: moving averages.
std::vector<Tensor> OwnState(const Model& model) {
  std::vector<Tensor> tensors = StorageOf(model.non_trainable_variables());
  std::erase_if(tensors, [](const Tensor& t) { return t.dtype() != DType::kFloat32; });
  return tensors;
}

std::vector<double> Flat(const std::vector<Tensor>& tensors) {
  std::vector<double> values;
  for (const Tensor& t : tensors) {
    const auto part = t.values<float>();
    values.insert(values.end(), part.begin(), part.end());
  }
  return values;
}

template <typename T>
void SetFlat(const T* value, const std::vector<Tensor>& tensors) {
  for (const Tensor& t : tensors) {
    float* data = t.mutable_data<float>();
    for (int64_t i = 0; i < t.NumElements(); ++i) data[i] = static_cast<float>(*value++);
  }
}

std::vector<double> MeanOf(Strategy& strategy, std::vector<double> values) {
  strategy.SumAcrossReplicas(values);
  for (double& value : values) value = static_cast<float>(value / strategy.input_shard().count);
  return values;
}

// Everybody's values, a row for each; undefined where all have the mean.
Tensor RowsOf(Strategy& strategy, const std::vector<double>& own,
              const std::vector<double>& mean) {
  const InputShard shard = strategy.input_shard();
  double differs[] = {own == mean ? 0.0 : 1.0};
  strategy.SumAcrossReplicas(differs);
  if (differs[0] == 0) return Tensor();
  const int64_t count = static_cast<int64_t>(own.size());
  const Tensor rows = Tensor::Empty(DType::kFloat32, {shard.count, count});
  for (int r = 0; r < shard.count; ++r) {
    std::vector<double> row(own.size(), -0.0);  // adds nothing, not even to a zero's sign
    if (r == shard.index) row = own;
    strategy.SumAcrossReplicas(row);
    std::ranges::copy(row, rows.mutable_data<float>() + r * count);
  }
  return rows;
}

}  // namespace

std::vector<Tensor> SharedState(const Program& program) {
  std::vector<Tensor> out;
  for (const FlatBucket& bucket : program.buckets) {
    out.push_back(bucket.variables->storage());
    for (const VariablePtr& slot : bucket.slots) out.push_back(slot->storage());
  }
  for (const ParameterTable& table : program.tables) {
    out.push_back(table.variable->storage());
    for (const VariablePtr& slot : table.slots) out.push_back(slot->storage());
  }
  for (Tensor& t : StorageOf(program.model->non_trainable_variables())) out.push_back(t);
  if (program.optimizer) {
    for (const Module::OwnVariable& own : program.optimizer->own_variables()) {
      if (own.attribute[1] != 'v') out.push_back(own.variable->storage());
    }
  }
  out.push_back(program.step->storage());
  return out;
}

std::vector<Module::Child> Trainer::modules() {
  impl_->RequireBuilt("modules");
  Program& program = impl_->program;
  std::vector<Module::Child> out = {{"model", program.model.get()}};
  if (program.optimizer) out.push_back({"optimizer", program.optimizer.get()});
  if (impl_->holders.empty()) {
    std::vector<Module::Child> figures = {{"loss", &program.train.loss}};
    for (size_t i = 0; i < program.train.metrics.size(); ++i) {
      figures.push_back({fmt::format("{}", i), program.train.metrics[i].get()});
    }
    impl_->holders.push_back(std::make_unique<Holder>(std::move(figures)));
  }
  out.push_back({"metrics", impl_->holders[0].get()});
  return out;
}

TrainingState Trainer::Save() const {
  TrainingState state;
  state.epoch = impl_->epoch;
  state.step_in_epoch = impl_->step_in_epoch;
  state.step = *impl_->step;
  if (impl_->data) state.data = impl_->data->SaveState();
  if (optimizer()) state.learning_rate = optimizer()->configured_rate();
  for (size_t i = 0; i < impl_->callbacks.size(); ++i) {
    const CallbackPtr& callback = impl_->callbacks[i];
    const std::string key = impl_->CallbackKey(i), text = callback->SaveState();
    if (!text.empty()) state.callbacks[key] = text;
    if (!is_chief()) continue;
    std::vector<Tensor> tensors = callback->SaveTensors();
    if (!tensors.empty()) state.tensors[key] = std::move(tensors);
  }
  if (impl_->replica_rows.defined()) {
    state.replicas = impl_->replica_rows.dim(0);
    state.tensors[TrainingState::kReplicas] = {impl_->replica_rows};
  }
  return state;
}

// A rate that the job did not have when `state` was saved takes the place of the saved one,
// which a callback may have lowered.
void Trainer::Impl::ApplyNewRate(const TrainingState& state) {
  Optimizer* optimizer = program.optimizer.get();
  if (!optimizer || optimizer->follows_schedule() || state.learning_rate.empty()) return;
  if (state.learning_rate == optimizer->configured_rate()) return;
  const double saved = optimizer->learning_rate();
  optimizer->set_learning_rate(optimizer->get_config().Float("learning_rate"));
  LogInfo("[resume] the learning rate is now {:.6g}, as the job says; the run had come to {:.6g}",
          optimizer->learning_rate(), saved);
}

// Each replica takes its row of the chief's `saved`, if there are as many as then.
void Trainer::Impl::RestoreOwnState(int64_t replicas, const Tensor& saved) {
  const InputShard shard = program.strategy->input_shard();
  if (replicas == 0 || replicas != shard.count) return;
  const std::vector<Tensor> tensors = OwnState(*program.model);
  const int64_t count = static_cast<int64_t>(Flat(tensors).size());
  const Tensor rows =
      saved.defined() ? saved : Tensor::Empty(DType::kFloat32, {shard.count, count});
  program.strategy->SyncInitialState({rows});
  SetFlat(rows.data<float>() + shard.index * count, tensors);
}

void Trainer::Restore(const TrainingState& chiefs) {
  impl_->RequireBuilt("Restore");
  Program& program = impl_->program;
  TrainingState state = chiefs;
  if (is_chief()) impl_->ApplyNewRate(state);
  const auto found = state.tensors.find(TrainingState::kReplicas);
  const Tensor rows = found == state.tensors.end() ? Tensor() : found->second.at(0);
  const Shape fitting{state.replicas,
                      static_cast<int64_t>(Flat(OwnState(*program.model)).size())};
  if (!rows.defined() || rows.dtype() != DType::kFloat32 || rows.shape() != fitting) {
    state.replicas = 0;
  }
  // The chief's state reaches the others as bytes, the length first.
  std::string text = state.ToJson();
  const Tensor length(static_cast<int64_t>(text.size()));
  program.strategy->SyncInitialState({length});
  text.resize(*length.data<int64_t>());
  const Tensor bytes = Tensor::Empty(DType::kUint8, Shape{static_cast<int64_t>(text.size())});
  std::memcpy(bytes.raw_data(), text.data(), text.size());
  std::vector<Tensor> all = SharedState(program);
  all.push_back(bytes);
  program.strategy->SyncInitialState(all);
  text.assign(static_cast<const char*>(bytes.raw_data()), bytes.bytes());
  impl_->restored = TrainingState::FromJson(text);
  impl_->RestoreOwnState(impl_->restored.replicas, is_chief() ? rows : Tensor());
  impl_->restored.tensors = std::move(state.tensors);
  impl_->has_restored = true;
  *impl_->step = impl_->restored.step;
  impl_->epoch = impl_->restored.epoch;
  impl_->step_in_epoch = impl_->restored.step_in_epoch;
  // Sums of the unfinished epoch are counted once, on the chief.
  if (!is_chief()) program.train.Reset();
}

void Trainer::SetWeights(const std::vector<Tensor>& weights) {
  // Variables may be shared memory: nobody writes while another still reads.
  strategy().SumAcrossReplicas({});
  if (is_chief()) {
    size_t i = 0;
    for (const VariablePtr& variable : model()->variables()) {
      CopyTensor(weights.at(i++), variable->storage());
    }
  }
  strategy().SyncInitialState(SharedState(impl_->program));
  impl_->weights_set = true;
}

void Trainer::SyncReplicas() {
  if (strategy().input_shard().count == 1) return;
  const std::vector<Tensor> tensors = OwnState(*model());
  SetFlat(MeanOf(strategy(), Flat(tensors)).data(), tensors);
}

void Trainer::SaveTogether(const std::function<void()>& save) {
  ParameterService* elsewhere = strategy().parameters();
  if (elsewhere) elsewhere->Refresh();
  // Nothing that is alive changes: a run trains on as if it were not saved.
  const bool alone = strategy().input_shard().count == 1;
  const std::vector<Tensor> tensors = alone ? std::vector<Tensor>() : OwnState(*model());
  const std::vector<double> own = Flat(tensors);
  const std::vector<double> mean = alone ? own : MeanOf(strategy(), own);
  if (!alone) impl_->replica_rows = RowsOf(strategy(), own, mean);
  Program::Figures& figures = impl_->program.train;
  const std::vector<double> own_figures = figures.State();
  std::vector<double> sum = own_figures;
  strategy().SumAcrossReplicas(sum);
  if (is_chief()) {
    for (const CallbackPtr& callback : impl_->callbacks) callback->OnCheckpoint(*this);
    figures.SetState(sum);
    SetFlat(mean.data(), tensors);
    save();
    SetFlat(own.data(), tensors);
    figures.SetState(own_figures);
  }
  impl_->replica_rows = Tensor();
  // What is saved elsewhere must not change, nor its servers go, before that is done.
  if (elsewhere) strategy().SumAcrossReplicas({});
}

}  // namespace tributary

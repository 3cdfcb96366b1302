#include "trainer/loop/trainer.h"

#include "core/runtime/execute.h"
#include "trainer/loop/parameter_buckets.h"
#include "trainer/loop/trainer_impl.h"
#include "trainer/strategy/one_device.h"

namespace tributary {

// --- Building -------------------------------------------------------------------

Trainer::Trainer(ModelPtr model, TrainerOptions options) : impl_(std::make_unique<Impl>()) {
  if (!model) throw InvalidArgumentError("[Trainer] there is no model");
  if (!options.strategy) options.strategy = std::make_shared<OneDeviceStrategy>();
  if (options.accumulate_steps < 1) {
    throw InvalidArgumentError("[Trainer] accumulate_steps must be at least 1, got {}",
                               options.accumulate_steps);
  }
  Program& program = impl_->program;
  program.model = std::move(model);
  program.loss = options.loss;
  program.optimizer = options.optimizer;
  program.strategy = options.strategy;
  program.check_finite = options.check_finite;
  program.plan_options = options.plan;
  program.step = Variable::Create("step", Tensor(int64_t{0}), false);
  program.finite_flag = Variable::Create("finite_flag", Tensor(int64_t{0}), false);
  impl_->step = program.step->storage().mutable_data<int64_t>();
  impl_->options = std::move(options);
}

Trainer::~Trainer() = default;

bool Trainer::built() const { return impl_->built; }

void Trainer::Impl::RequireBuilt(const char* what) const {
  if (!built) throw FailedPreconditionError("[Trainer] call Build before {}", what);
}

namespace {

TensorSpec OpenBatch(TensorSpec spec) {
  if (spec.shape.rank() < 1) {
    throw InvalidArgumentError(
        "[Trainer] elements need a leading axis of rows, got {}; call Batch on the data",
        spec.ToString());
  }
  spec.shape.set_dim(0, Shape::kUnknownDim);
  return spec;
}

// The last layer whose options name an activation.
const Layer* LastWithActivation(const Model& model) {
  const Layer* last = nullptr;
  for (const LayerPtr& layer : model.layers()) {
    if (const auto* inner = dynamic_cast<const Model*>(layer.get())) {
      if (const Layer* found = LastWithActivation(*inner)) last = found;
    } else if (layer->get_config().Has("activation")) {
      last = layer.get();
    }
  }
  return last;
}

}  // namespace

void Trainer::Prepare(const std::vector<TensorSpec>& element) {
  Program& program = impl_->program;
  if (!program.element.empty()) return;
  std::vector<TensorSpec> open;
  for (const TensorSpec& spec : element) open.push_back(OpenBatch(spec));
  if (element.size() < 2) {
    throw InvalidArgumentError(
        "[Trainer] an element of the data has {} columns; it needs inputs and, last, a target",
        element.size());
  }
  {
    ParameterService* elsewhere = program.strategy->parameters();
    const RemoteTables::Scope tables(elsewhere ? elsewhere->tables() : nullptr);
    program.model->BuildModel({open.begin(), open.end() - 1});
  }
  if (program.loss) {
    if (const size_t outputs = program.model->output_specs().size(); outputs != 1) {
      throw UnimplementedError("[Trainer] '{}' has {} outputs, and a loss is of one; make a model "
                               "of one output to train", program.model->name(), outputs);
    }
    if (const Layer* last = LastWithActivation(*program.model)) {
      program.loss->ResolveFromLogits(*last);
    }
  }
  const MetricContext context{open.back(), program.model->output_specs()[0],
                              program.loss && program.loss->from_logits()};
  for (const Options& metric : impl_->options.metrics) {
    program.train.metrics.push_back(Metrics().Build(metric, context));
    program.eval.metrics.push_back(Metrics().Build(metric, context));
  }
  program.element = std::move(open);
}

void Trainer::CheckLoss() const {
  const Program& program = impl_->program;
  if (!program.loss || program.element.empty()) return;
  Graph graph;
  const GraphScope scope(&graph);
  const TensorSpec target = program.element.back(), output = program.model->output_specs()[0];
  (*program.loss)(graph.Placeholder(target.dtype, target.shape, "target"),
                  graph.Placeholder(output.dtype, output.shape, "prediction"));
}

void Trainer::Build(const std::vector<TensorSpec>& element) {
  if (impl_->built) return;
  Prepare(element);
  Program& program = impl_->program;
  program.trainable = program.model->trainable_variables();
  if (program.optimizer && !program.trainable.empty()) {
    std::set<const Variable*> tables;
    if (impl_->options.accumulate_steps == 1) {
      tables = FindTables(*program.model, *program.optimizer, *program.strategy);
    }
    Parameters parameters =
        MakeParameters(program.trainable, tables, *program.optimizer, *program.strategy,
                       impl_->options.max_bucket_bytes);
    program.buckets = std::move(parameters.buckets);
    program.tables = std::move(parameters.tables);
    for (const FlatBucket& bucket : program.buckets) {
      if (impl_->options.accumulate_steps == 1) break;
      program.accumulators.push_back(Variable::Alias(
          bucket.name + "/accumulator",
          Tensor(bucket.dtype, Shape{bucket.size},
                 program.strategy->AllocateBucket(BucketKind::kGradients, bucket.name,
                                                  bucket.size * DTypeSize(bucket.dtype))),
          false));
    }
  }
  if (ParameterService* elsewhere = program.strategy->parameters(); elsewhere) {
    if (!program.optimizer) {
      throw FailedPreconditionError("[Trainer] {} needs an optimizer: it updates the parameters",
                                    program.strategy->Describe());
    }
    if (impl_->options.accumulate_steps > 1) {
      throw UnimplementedError("[Trainer] accumulate_steps goes with local updates only; with {} "
                               "take a larger batch", program.strategy->Describe());
    }
    elsewhere->Place(program.buckets, *program.optimizer);
  }
  impl_->built = true;
  program.strategy->SyncInitialState(SharedState(program));
}

BoundPlan* Trainer::Impl::TrainPlanFor(const StepKey& key) {
  for (const auto& [known, plan] : train_plans) {
    if (known == key) return plan.get();
  }
  RequireBuilt("training");
  if (!program.loss || !program.optimizer) {
    throw FailedPreconditionError("[Trainer] training needs a loss and an optimizer");
  }
  if (program.trainable.empty()) {
    throw FailedPreconditionError("[Trainer] '{}' has no trainable variables",
                                  program.model->name());
  }
  train_plans.emplace_back(key, MakeTrainPlan(program, key));
  return train_plans.back().second.get();
}

void Trainer::Impl::RunTrainPlan(BoundPlan* plan, const std::vector<Tensor>& tensors,
                                 int64_t global_rows) {
  try {
    plan->Run();
  } catch (const InvalidArgumentError&) {
    int64_t& flag = *program.finite_flag->storage().mutable_data<int64_t>();
    if (flag == 0) throw;
    flag = 0;
    const InputShard shard = program.strategy->input_shard();
    ThrowNonFinite(program, tensors, global_rows * shard.index / shard.count, *step);
  }
}

Plan* Trainer::TrainPlan(int64_t rows, bool with_metrics) {
  const int count = strategy().input_shard().count;
  return impl_->TrainPlanFor({.rows = rows, .global_rows = rows * count,
                              .with_metrics = with_metrics})->plan();
}

const Graph& Trainer::TrainGraph(int64_t rows) {
  const int count = strategy().input_shard().count;
  return impl_->TrainPlanFor({.rows = rows, .global_rows = rows * count})->graph();
}

const Graph* Trainer::LastTrainGraph() const {
  return impl_->train_plans.empty() ? nullptr : &impl_->train_plans.back().second->graph();
}

const std::vector<Tensor>* Trainer::LastBatch() const { return impl_->batch; }

std::vector<TensorSpec> Trainer::ElementSpecs(int64_t rows) const {
  impl_->RequireBuilt("ElementSpecs");
  return WithRows(impl_->program.element, rows);
}

void Trainer::BeginStep() { impl_->program.optimizer->BeginUpdate(); }

void Trainer::EndStep() {
  impl_->program.optimizer->EndUpdate();
  ++*impl_->step;
}

// --- What callbacks see -------------------------------------------------------------

const ModelPtr& Trainer::model() const { return impl_->program.model; }
const OptimizerPtr& Trainer::optimizer() const { return impl_->program.optimizer; }
Strategy& Trainer::strategy() const { return *impl_->program.strategy; }
const std::vector<MetricPtr>& Trainer::metrics() const { return impl_->program.train.metrics; }
int64_t Trainer::epoch() const { return impl_->ended ? impl_->ended->epoch : impl_->epoch; }
int64_t Trainer::step() const { return *impl_->step; }
int64_t Trainer::step_in_epoch() const {
  return impl_->ended ? impl_->ended->steps : impl_->step_in_epoch;
}
int64_t Trainer::steps_per_epoch() const { return impl_->steps_per_epoch; }
int64_t Trainer::total_epochs() const { return impl_->total_epochs; }
int64_t Trainer::examples() const { return impl_->examples; }
int64_t Trainer::global_batch() const { return impl_->global_batch; }
void Trainer::CheckFinite(bool check) { impl_->program.check_finite = check; }
void Trainer::StopAfterEpoch() { impl_->stop_after_epoch = true; }
bool Trainer::HasMoreSteps() const {
  if (*impl_->step >= impl_->max_steps) return false;
  return !impl_->ended || (!impl_->stop_after_epoch && impl_->epoch < impl_->total_epochs);
}

Logs Trainer::Impl::LogsOf(const Program::Figures& figures, std::span<const double> state,
                           const std::string& prefix) {
  Logs logs;
  logs.Set(prefix + "loss", state[1] == 0 ? 0 : state[0] / state[1]);
  size_t at = 2;
  for (const MetricPtr& metric : figures.metrics) {
    size_t size = 0;
    for (const VariablePtr& v : metric->state()) size += v->shape().NumElements();
    logs.Set(prefix + metric->name(), metric->Result(state.subspan(at, size)));
    at += size;
  }
  return logs;
}

Logs Trainer::CurrentLogs() const {
  const Program::Figures& figures = impl_->program.train;
  return Impl::LogsOf(figures, figures.State(), "");
}

}  // namespace tributary

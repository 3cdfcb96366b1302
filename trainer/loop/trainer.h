#pragma once
// Trainer: a model, a loss, an optimizer and a strategy made into steps and run
// (keras.Model.compile, fit, evaluate, predict).
//
//   Trainer trainer(model, {.loss = loss, .metrics = {...}, .optimizer = adam});
//   trainer.Fit(train, {.epochs = 10, .validation = test, .callbacks = {...}});
//   Logs logs = trainer.Evaluate(test);
//
// The training step is one plan: forward, loss, gradients packed into flat
// buckets, a check that all is finite, the strategy's reduce and update, metrics.
// The steady loop allocates nothing on the heap.
//
// Not safe from several threads, except RequestStop.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/runtime/plan.h"
#include "trainer/callbacks/callback.h"
#include "trainer/data/dataset.h"
#include "trainer/losses/loss.h"
#include "trainer/loop/training_state.h"
#include "trainer/metrics/metric.h"
#include "trainer/model/model.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/strategy/strategy.h"

namespace tributary {

struct TrainerOptions {
  LossPtr loss;
  // Validated metrics, resolved once shapes are known ("accuracy").
  std::vector<Options> metrics;
  OptimizerPtr optimizer;
  std::shared_ptr<Strategy> strategy;  // null: one device
  // Batches whose mean gradient makes one update. A group ends with its epoch, and
  // callbacks run between groups.
  int accumulate_steps = 1;
  // Stop before an update whose loss or gradients are not finite.
  bool check_finite = true;
  // Fusion and so on; bucket_memory is the trainer's.
  PlanOptions plan;
  // Variables beyond this many bytes begin another bucket: a strategy may send one
  // while the next is computed.
  size_t max_bucket_bytes = size_t{32} << 20;
};

struct FitOptions {
  int64_t epochs = 1;           // in all, counting those of a restored run
  int64_t steps_per_epoch = 0;  // 0: a whole pass of the data set
  int64_t max_steps = 0;        // stop after so many steps in all; 0: no limit
  std::optional<data::Dataset> validation;
  int64_t validation_freq = 1;  // in epochs
  std::vector<CallbackPtr> callbacks;
};

// Thrown before the update when loss or gradients are not finite. The variables
// are those before the step.
class NonFiniteError final : public Error {
 public:
  NonFiniteError(int64_t step, std::string layer, const std::string& message)
      : Error(Code::kInvalidArgument, message), step_(step), layer_(std::move(layer)) {}
  int64_t step() const { return step_; }
  // The first layer whose output was not finite; "" when only gradients were not.
  const std::string& layer() const { return layer_; }

  // In the message of every such error; where replicas tell each other why they end, by this
  // they know that it was one.
  static constexpr const char* kWords = "was stopped before its update";

 private:
  int64_t step_;
  std::string layer_;
};

// One line an epoch: "loss", metrics, "val_...".
struct History {
  std::vector<int64_t> epochs;
  std::vector<Logs> logs;
  bool stopped_early = false;  // before all epochs were done
  bool weights_set = false;    // Trainer::SetWeights: the last figures are of others
};

class Trainer {
 public:
  Trainer(ModelPtr model, TrainerOptions options);
  ~Trainer();
  Trainer(const Trainer&) = delete;

  // The part of Build that is not collective: the model's weights, loss and metrics.
  // A model that does not fit the data is found here.
  void Prepare(const std::vector<TensorSpec>& element);
  // After Prepare: throws InvalidArgumentError when the loss does not take the data's
  // targets and the model's predictions together.
  void CheckLoss() const;
  // [C] Builds the model for elements of this spec (inputs first, target last; the
  // leading axis may be open), lays the variables out in buckets and makes all
  // replicas start from the same values. Fit, Evaluate and Restore need it; Fit
  // and Evaluate do it themselves.
  void Build(const std::vector<TensorSpec>& element);
  bool built() const;

  // [C] Trains on `data`, which is the whole input: each replica takes its part of
  // every batch. Goes on from the restored state if there is one. Throws
  // NonFiniteError and whatever data, callbacks and strategy throw.
  History Fit(const data::Dataset& data, const FitOptions& options);
  // A worker whose strategy hands out steps (StepQueue): trains on what it is given of
  // `data` until there is no more. Of the options steps_per_epoch counts; callbacks and
  // validation are the chief's, who calls Fit.
  void Work(const data::Dataset& data, const FitOptions& options);
  // [C] Loss and metrics over the whole data set, exact over replicas.
  Logs Evaluate(const data::Dataset& data);
  // Outputs for every row, concatenated (one tensor for each model output).
  // `data` has the inputs only, or a target that is ignored. Not collective.
  std::vector<Tensor> Predict(const data::Dataset& data);

  // Ends Fit after the present step (on every replica at the same one). Safe from
  // signal handlers and other threads.
  void RequestStop() { requests_.fetch_or(kStopRequest); }
  // As TrainerOptions::check_finite; before the first step.
  void CheckFinite(bool check);
  // For callbacks at epoch ends, which decide alike on every replica: no more epochs.
  void StopAfterEpoch();
  // False: by what is known now, Fit does no step after the last one.
  bool HasMoreSteps() const;
  // Has every replica call OnCheckpointRequest of its callbacks after a step.
  void RequestCheckpoint() { requests_.fetch_or(kCheckpointRequest); }

  // --- State, for checkpoints -------------------------------------------------
  // What a checkpoint holds, by the edge's name from its root: "model",
  // "optimizer", and "metrics" (the figures of the unfinished epoch).
  std::vector<Module::Child> modules();
  // Where the run stands. Valid at step boundaries: in callbacks and after Fit.
  TrainingState Save() const;
  // [C] After the chief has overwritten the variables of modules(): they and the
  // chief's `state` go to all replicas (what others pass is ignored), and Fit goes
  // on from there. Call it before Fit or in OnTrainBegin.
  void Restore(const TrainingState& state);
  // [C] The chief's `weights`, in the order of model()->variables(), become everybody's.
  // For Callback::OnTrainDone.
  void SetWeights(const std::vector<Tensor>& weights);
  // [C] Makes state that replicas keep apart (the moving averages of BatchNormalization, which
  // normalizes by the statistics of a replica's own rows, as TensorFlow's does by default)
  // equal to its mean. Fit does it at the end of each epoch.
  void SyncReplicas();
  // [C] Calls `save` on the chief while its modules() hold the state of all replicas
  // together: means of the moving averages, sums of the epoch's figures; then all is as it
  // was. Save() has each replica's own moving averages besides, for as many to resume from.
  void SaveTogether(const std::function<void()>& save);

  // --- For callbacks and tools ------------------------------------------------
  const ModelPtr& model() const;
  const OptimizerPtr& optimizer() const;
  Strategy& strategy() const;
  const std::vector<MetricPtr>& metrics() const;
  bool is_chief() const { return strategy().is_chief(); }
  int64_t epoch() const;           // the running epoch (in OnEpochEnd: the one that ends), from 0
  int64_t step() const;            // steps done in all
  int64_t step_in_epoch() const;   // steps done in this epoch
  int64_t steps_per_epoch() const;  // 0 when not known
  int64_t total_epochs() const;
  int64_t examples() const;  // examples of this epoch over all replicas
  int64_t global_batch() const;
  // What this replica's last step was fed, inputs first, target last. For OnStep:
  // null before the first step and after the last of an epoch; valid until the next.
  const std::vector<Tensor>* LastBatch() const;
  // Loss and metrics of this epoch so far, of this replica alone, and the learning
  // rate is not among them. Cheap, but not for every step.
  Logs CurrentLogs() const;

  // The training step for batches of this many rows (of this replica), for `tributary
  // graph` and `bench`: its plan, its graph, the inputs in the order of BindInput.
  // `with_metrics` false leaves the running loss and the metrics out. To run it by
  // hand: bind, then BeginStep(), plan->Run(), EndStep().
  Plan* TrainPlan(int64_t rows, bool with_metrics = true);
  const Graph& TrainGraph(int64_t rows);
  // Of a step that has run; null before the first.
  const Graph* LastTrainGraph() const;
  std::vector<TensorSpec> ElementSpecs(int64_t rows) const;
  void BeginStep();
  void EndStep();

 private:
  friend class FitLoop;
  friend class WorkerLoop;
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::atomic<uint32_t> requests_{0};
};

}  // namespace tributary

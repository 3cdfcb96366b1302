#pragma once
// The parts of a Trainer that its sources share.

#include <algorithm>

#include "trainer/loop/program.h"
#include "trainer/loop/trainer.h"

namespace tributary {

struct Trainer::Impl {
  TrainerOptions options;
  Program program;
  bool built = false;

  std::vector<std::pair<StepKey, std::unique_ptr<BoundPlan>>> train_plans;
  std::map<int64_t, std::unique_ptr<BoundPlan>> eval_plans, predict_plans;
  std::vector<std::unique_ptr<Module>> holders;  // nodes of modules()

  // Where the run stands.
  int64_t* step = nullptr;  // the storage of Program::step
  int64_t epoch = 0, step_in_epoch = 0;
  int64_t steps_per_epoch = 0, total_epochs = 0, global_batch = 0;
  int64_t examples = 0;  // of all replicas in this epoch
  int64_t max_steps = INT64_MAX;
  bool stop_after_epoch = false;
  bool weights_set = false;  // by a callback of the running Fit
  Tensor replica_rows;       // while SaveTogether saves: OwnState of every replica
  // While callbacks look at an epoch that has ended: epoch and step_in_epoch then
  // are those of the next one already.
  struct Ended {
    int64_t epoch, steps;
  };
  std::optional<Ended> ended;
  TrainingState restored;          // applied by the next Fit
  bool has_restored = false;
  data::Iterator* data = nullptr;  // of the running Fit
  const std::vector<Tensor>* batch = nullptr;  // of its last step
  std::vector<CallbackPtr> callbacks;
  // What the state of callbacks[i] is saved under: its name; of several alike the last has the
  // name alone, and those before it a number.
  std::string CallbackKey(size_t i) const {
    const auto alike = std::count_if(
        callbacks.begin() + static_cast<std::ptrdiff_t>(i) + 1, callbacks.end(),
        [&](const CallbackPtr& other) { return other->name() == callbacks[i]->name(); });
    return alike == 0 ? callbacks[i]->name() : fmt::format("{}#{}", callbacks[i]->name(), alike);
  }

  BoundPlan* TrainPlanFor(const StepKey& key);
  // Runs a step on tensors that are bound. Throws NonFiniteError.
  void RunTrainPlan(BoundPlan* plan, const std::vector<Tensor>& tensors, int64_t global_rows);
  void ApplyNewRate(const TrainingState& state);
  void RestoreOwnState(int64_t replicas, const Tensor& saved);
  void RequireBuilt(const char* what) const;
  // Loss and metrics of a state that may be summed over replicas.
  static Logs LogsOf(const Program::Figures& figures, std::span<const double> state,
                     const std::string& prefix);
};

// Everything that replicas have in common, each byte once.
std::vector<Tensor> SharedState(const Program& program);

}  // namespace tributary

#pragma once
// What the trainer's traces are made of: the model with its loss and optimizer,
// and the variables that belong to the loop.

#include <vector>

#include "core/runtime/function.h"
#include "trainer/data/iterator.h"
#include "trainer/loop/loss_mean.h"
#include "trainer/loop/parameter_buckets.h"
#include "trainer/losses/loss.h"
#include "trainer/metrics/metric.h"
#include "trainer/model/model.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/strategy/strategy.h"

namespace tributary {

struct Program {
  ModelPtr model;
  LossPtr loss;
  OptimizerPtr optimizer;
  std::shared_ptr<Strategy> strategy;
  bool check_finite = true;
  PlanOptions plan_options;

  std::vector<TensorSpec> element;  // inputs first, target last; open batch
  std::vector<VariablePtr> trainable;
  std::vector<FlatBucket> buckets;
  // Trainable variables that are in no bucket: they are updated row by row.
  std::vector<ParameterTable> tables;
  // One a bucket, in the gradient bucket's memory, when steps are accumulated.
  std::vector<VariablePtr> accumulators;

  // Running figures of the epoch, and of an evaluation.
  struct Figures {
    LossMean loss;
    std::vector<MetricPtr> metrics;
    void Reset();
    // All state in one row, to be summed over replicas.
    std::vector<double> State() const;
    void SetState(std::span<const double> state);
  };
  Figures train, eval;

  VariablePtr step;         // int64: steps done, the counter of random ops
  VariablePtr finite_flag;  // int64: set by _CheckFinite before it throws

  // Penalties on the weights of all layers.
  std::vector<Tensor> RegularizationLosses() const;
};

// Which step: plans differ by the size of the batch and by the place in a group of
// accumulated batches.
struct StepKey {
  enum class Phase { kOnly, kFirst, kMiddle, kLast };
  int64_t rows = 0;         // of this replica
  int64_t global_rows = 0;  // of all replicas
  int64_t group = 1;        // batches that make one update
  Phase phase = Phase::kOnly;
  bool with_metrics = true;
  bool operator==(const StepKey&) const = default;
};

// A function's plan for one shape, with the addresses that are bound to it.
class BoundPlan {
 public:
  BoundPlan(std::string name, Function::Body body, const std::vector<TensorSpec>& specs,
            const PlanOptions& options);

  // `tensors` fit the specs. Allocates nothing.
  void Bind(const std::vector<Tensor>& tensors) {
    for (size_t i = 0; i < bound_.size(); ++i) {
      const void* data = tensors[i].raw_data();
      if (data == bound_[i]) continue;
      plan_->BindInput(static_cast<int>(i), data);
      bound_[i] = data;
    }
  }
  void Run() { plan_->Run(); }

  // The ids that the plan looks up elsewhere, symbolic tensors of its graph: from now on
  // LookupsOf computes them alone.
  void PlanLookups(const std::vector<Tensor>& ids);
  // For inputs that fit the specs; null when they do not follow from the inputs alone.
  // Valid until the next call.
  const std::vector<Tensor>* LookupsOf(const std::vector<Tensor>& tensors);
  Plan* plan() { return plan_; }
  const Graph& graph() { return *function_.trace(specs_).graph; }

 private:
  PlanOptions options_;
  std::vector<TensorSpec> specs_;
  Function function_;
  Plan* plan_;
  std::vector<const void*> bound_;
  std::unique_ptr<Plan> lookup_plan_;
  std::vector<Tensor> lookups_;
};

// The specs of an element with this many rows.
std::vector<TensorSpec> WithRows(std::vector<TensorSpec> element, int64_t rows);

// Output 0 of these plans is the loss of the batch. Evaluation updates
// Program::eval; prediction returns the model's outputs.
std::unique_ptr<BoundPlan> MakeTrainPlan(Program& program, const StepKey& key);
std::unique_ptr<BoundPlan> MakeEvalPlan(Program& program, int64_t rows);
std::unique_ptr<BoundPlan> MakePredictPlan(Program& program, int64_t rows);

// After _CheckFinite stopped a step on this batch: throws NonFiniteError that names
// the first layer at fault, or the gradient.
[[noreturn]] void ThrowNonFinite(Program& program, const std::vector<Tensor>& batch,
                                 int64_t row_offset, int64_t step);

}  // namespace tributary

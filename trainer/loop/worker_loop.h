#pragma once
// WorkerLoop: one call of Trainer::Work.

#include "trainer/loop/trainer_impl.h"

namespace tributary {

class WorkerLoop {
 public:
  WorkerLoop(Trainer& trainer, const data::Dataset& data, const FitOptions& options);

  void Run(StepQueue& queue);

 private:
  void RunRange(const StepRange& range);
  void Seek(const StepRange& range);
  BoundPlan* PlanFor(const data::Batch& batch);
  void Step(BoundPlan* plan, const data::Batch& batch, int64_t step);

  Trainer& trainer_;
  Trainer::Impl& impl_;
  data::Iterator data_;
  int64_t cardinality_;
  int64_t steps_per_epoch_;
  BoundPlan* plan_ = nullptr;  // of the last batch
  StepKey key_;
};

}  // namespace tributary

#pragma once
// FitLoop: one call of Trainer::Fit.

#include "trainer/loop/trainer_impl.h"

namespace tributary {

class FitLoop {
 public:
  FitLoop(Trainer& trainer, const data::Dataset& data, const FitOptions& options);
  ~FitLoop();

  History Run();

 private:
  // A callback that wants steps, and the step of the epoch at which it is due.
  struct Due {
    Callback* callback;
    int64_t at;
  };

  void Resume();
  // Whether the run that is resumed was ended by a callback. Tells when nothing is left to do.
  bool HasEnded();
  // False when the loop must end.
  bool RunEpoch();
  void Step(const data::Batch& batch);
  StepKey KeyFor(const data::Batch& batch) const;
  // Has the steps of an epoch done by others; false when the loop must end.
  bool ServeEpoch(StepServer& server);
  int64_t WindowEnd() const;
  void Advance(int64_t step_in_epoch);
  void AddFigures(const std::vector<double>& figures);
  // Calls what is due; true when the epoch must be left.
  bool BetweenSteps();
  void CallDue();
  void FindNextDue();
  void EndEpoch();
  bool EndEpochAndGoOn();  // false: nothing follows
  template <typename Fn>
  void ForEachCallback(Fn fn);

  Trainer& trainer_;
  Trainer::Impl& impl_;
  const FitOptions& options_;
  data::Iterator data_;
  bool resumed_ = false, resumed_in_epoch_ = false;
  bool told_to_stop_ = false;
  History history_;

  BoundPlan* plan_ = nullptr;  // of the last step
  StepKey key_;
  std::vector<Due> due_;
  int64_t next_due_ = 0;
  int64_t max_steps_ = INT64_MAX;
  int64_t rows_ = 0;
  int64_t group_ = 1, group_step_ = 0;  // of accumulated batches
};

}  // namespace tributary

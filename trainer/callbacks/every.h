#pragma once
// When something that happens "every 100 steps", "every epoch" or "every 10 s" is
// due, without a clock read in the training loop: times are turned into a number
// of steps by the pace of the last ones.

#include <functional>

#include "trainer/callbacks/callback.h"

namespace tributary {

class Every {
 public:
  // `clock` in seconds; the steady clock when empty.
  explicit Every(Interval interval, std::function<double()> clock = {});

  const Interval& interval() const { return interval_; }

  // For Callback::FirstStep and OnStep. Steps are counted from the start of the
  // run (`step`: done so far).
  int64_t FirstStep(int64_t step);
  // Returns in how many steps to ask again; *due says whether it is time now.
  int64_t OnStep(int64_t step, bool* due);
  // At the end of epoch number `epoch` (from 0).
  bool AtEpochEnd(int64_t epoch) const;

  // The time begins anew: something was done out of turn.
  void Restart() { last_due_ = clock_(); }

  double Now() const { return clock_(); }

 private:
  Interval interval_;
  std::function<double()> clock_;
  double last_due_ = 0, last_time_ = 0;
  int64_t last_step_ = 0, last_wait_ = 1;
};

}  // namespace tributary

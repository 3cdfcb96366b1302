#pragma once
// Tells a rank whose step hangs from one that is slow, by what the rank has shown
// before. Each rank's monitor judges its own: where its thread runs, the process does
// too, so a step that doesn't move is the fault of what computes it.

#include <optional>
#include <string>

#include "distribute/comm/job_health.h"

namespace tributary {

// Used by one thread.
class StepWatch {
 public:
  // A step may take `least`, or five times as long as the longest so far, whichever is
  // more; the first few (which build plans, and have none before them) two minutes.
  // Only the time between two collectives counts, not what is waited in them; saving,
  // evaluating and reading data are no part of a step.
  explicit StepWatch(Millis least) : least_(least) {}

  // Called a few times a second. `others_wait` is how long another rank has been waiting
  // in a call. Returns what is wrong, in words, once the step has outlived its time and
  // somebody has waited for a third of that.
  std::optional<std::string> Look(const JobHealth& health, Millis others_wait,
                                  Clock::time_point now);
  // The process was stopped: the time until now doesn't count.
  void Forget(Clock::time_point now) { since_ = now; }

 private:
  Millis Limit(uint64_t steps) const;

  const Millis least_;
  Millis longest_{0};
  uint64_t progress_ = 0;
  Clock::time_point since_;  // progress was seen, or no computation; epoch: not looked yet
};

}  // namespace tributary

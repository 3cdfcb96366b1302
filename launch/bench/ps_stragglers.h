#pragma once
// What bounded staleness is worth where workers stumble now and then: the same number of steps,
// with delays drawn by the same rule, in each consistency.
//
// A step is a push and a pull of a small variable around `step_ms` of computing, which is
// slept: what is compared is waiting, and two cores are enough for four workers. In sync every
// worker makes every step; else steps are handed out as they come, as a job does, until as many
// are made. Delays are drawn once, by a seed, for every worker and each of its steps.
//
//   each   each worker stumbles in a step with `probability`, on its own
//   one    in each step, with `probability`, one worker does, any of them
//
// Beside what was measured stands what these very delays allow: computed, with requests
// that take no time.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "distribute/ps/shard.h"

namespace tributary {

enum class StragglerPattern : uint8_t { kEach, kOne };

struct StragglerOptions {
  StragglerPattern pattern = StragglerPattern::kEach;
  int workers = 4;
  int64_t steps = 2000;  // times `workers`: that are made in each consistency
  double step_ms = 5;
  double probability = 0.3;
  double pause_steps = 3;  // that a stumbling worker sleeps, in step times
  uint64_t seed = 1;
  std::string carrier = "tcp";  // over loopback; or inproc
  std::function<void(const std::string& what)> progress;  // before each measurement
};

struct StragglerRun {
  std::string name;  // "sync", "staleness 4", "async"
  int64_t staleness = -1;          // bounded: the bound
  double steps_per_second = 0;     // of a worker, on average
  double allowed_per_second = 0;   // by the delays
  int64_t stalest = 0;             // that a gradient was; 64: or more
  double over_sync = 0, allowed_over_sync = 0;
};

struct StragglerResult {
  std::vector<StragglerRun> runs;  // sync first, then rising staleness, then async

  static constexpr int64_t kJudged = 4;  // the staleness that the target is for
  static constexpr double kTarget = 1.5;
  const StragglerRun& judged() const;
  bool holds() const { return judged().over_sync >= kTarget; }
};

// Step times of every worker in every step: delays[step][worker], 1 where nothing happens. Who
// makes more steps than there are begins anew.
std::vector<std::vector<double>> StragglerDelays(const StragglerOptions& options);
// The time that as many steps take, in step times, where requests take none.
double AllowedTime(const std::vector<std::vector<double>>& delays,
                   const ps::ConsistencyOptions& consistency);

// Throws what servers and sockets throw.
StragglerResult BenchStragglers(const StragglerOptions& options);

}  // namespace tributary

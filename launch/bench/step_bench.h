#pragma once
// How long a training step takes: alone, inside `train`, and at the machine's
// floor; over several ranks, against as many that do not talk to each other.

#include <cstdint>
#include <string>
#include <vector>

#include "launch/config/job.h"

namespace tributary {

class JobContext;

struct StepBenchOptions {
  double seconds = 2.0;  // of measuring, for each figure
};

// Times are the best of many blocks of steps, in microseconds; *_median the median
// block. A figure that was not measured is 0.
struct StepBenchResult {
  int threads = 0;
  int replicas = 1;
  int64_t rows = 0;  // of a batch, on each replica
  std::string strategy;

  double bare_us = 0, bare_median_us = 0;    // the plan alone, same batch again and again
  double train_us = 0, train_median_us = 0;  // inside Fit: data, metrics, callbacks
  double floor_us = 0;                       // launch/bench/floor.h
  double independent_us = 0;  // replicas > 1: the same step of one_device on each rank
  double startup_us = 0;      // from loading the data to the end of the first step
  int64_t flops = 0;          // of the floor's primitives
  int64_t update_bytes = 0;
  int plan_launches = 0;

  double samples_per_second() const {
    return train_us > 0 ? 1e6 * static_cast<double>(rows * replicas) / train_us : 0;
  }
};

// Collective over the job's ranks. Trains for as many steps as it takes, in a
// temporary run folder: nothing of the user's is written.
StepBenchResult BenchStep(const JobConfig& job, const JobContext& context,
                          const StepBenchOptions& options);

}  // namespace tributary

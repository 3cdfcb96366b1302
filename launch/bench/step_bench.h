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

// Microseconds a step, over many blocks of steps; 0 where nothing was measured.
struct StepTime {
  double best = 0;
  double median = 0;
};

struct StepBenchResult {
  int threads = 0;
  int replicas = 1;
  int64_t rows = 0;  // of a batch, on each replica
  std::string strategy;

  StepTime bare;   // the plan alone, same batch again and again
  StepTime train;  // inside Fit: data, metrics, callbacks
  StepTime floor;  // launch/bench/floor.h
  // replicas > 1: the bare step in turns with the same step of one_device on each rank
  StepTime together, independent;
  // The figures are measured in many short turns: medians of the ratios of the turns.
  double train_over_bare = 0, bare_over_floor = 0, rate_over_independent = 0;
  double startup_us = 0;  // from loading the data to the end of the first step
  int64_t flops = 0;          // of the floor's primitives
  int64_t update_bytes = 0;
  int plan_launches = 0;

  double samples_per_second() const {
    return train.median > 0 ? 1e6 * static_cast<double>(rows * replicas) / train.median : 0;
  }
};

// Collective over the job's ranks. Trains for as many steps as it takes, in a
// temporary run folder: nothing of the user's is written.
StepBenchResult BenchStep(const JobConfig& job, const JobContext& context,
                          const StepBenchOptions& options);

}  // namespace tributary

#pragma once

#include "launch/config/job.h"

namespace tributary {

struct TrainOptions {
  bool fresh = false;   // move an earlier run aside and start over
  bool quiet = false;   // no progress, no report
};

// Trains a job as the process that the launcher made this one: connects, prepares
// the run's folder, fits, measures the test set, writes result.json. Returns the
// exit code: done, or told to stop by a signal (saved). Throws everything else,
// after the other processes have been told.
int TrainJob(const JobConfig& job, const TrainOptions& options);

}  // namespace tributary

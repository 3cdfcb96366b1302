#pragma once

#include <functional>
#include <memory>

#include "launch/config/job.h"

namespace tributary {

class JobContext;
class Strategy;

struct TrainOptions {
  bool fresh = false;   // move an earlier run aside and start over
  bool quiet = false;   // no progress, no report
  // Where the job has processes that its context does not count; 0: none.
  int processes = 0, processes_here = 0;
};

// Trains a job as the process that the launcher made this one: connects, prepares
// the run's folder, fits, measures the test set, writes result.json. Returns the
// exit code: done, or told to stop by a signal (saved). Throws everything else,
// after the other processes have been told.
int TrainJob(const JobConfig& job, const TrainOptions& options);

// Called once the run's folder is there.
using StrategyMaker = std::function<std::shared_ptr<Strategy>()>;
// The same within a job that is connected, with the strategy that `make_strategy` makes.
int TrainInJob(const JobConfig& job, const TrainOptions& options, JobContext& context,
               const StrategyMaker& make_strategy);

}  // namespace tributary

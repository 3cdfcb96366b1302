#pragma once

#include <string>

#include "launch/config/job.h"

namespace tributary {

// A side evaluator (TensorFlow's `evaluator` task): measures data.validation, or `set` if
// given, on every checkpoint that a running job writes to its run_dir, as they come, and
// shows the figures in <run_dir>/summaries/evaluator. Takes no part in the training.
// Returns the exit code once the training has ended and its last checkpoint is measured.
// SIGTERM, SIGINT and SIGHUP end it.
int RunEvaluator(const JobConfig& job, const std::string& set = "");

}  // namespace tributary

#pragma once

#include <vector>

#include "launch/config/job.h"
#include "launch/roles/run_dir.h"
#include "trainer/callbacks/callback.h"

namespace tributary {

// What runs around the steps of a job: its own callbacks first (the checkpoint holds
// what they have become), then summaries, the progress line unless `quiet`, and
// checkpoints, all writing into `dir`.
std::vector<CallbackPtr> MakeCallbacks(const JobConfig& job, const RunDir& dir, bool quiet);

}  // namespace tributary

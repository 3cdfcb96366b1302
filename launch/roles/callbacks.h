#pragma once

#include <string>
#include <vector>

#include "launch/config/job.h"
#include "launch/roles/run_dir.h"
#include "trainer/callbacks/callback.h"

namespace tributary {

// What runs around the steps of a job: its own callbacks first (the checkpoint holds
// what they have become), then summaries, the progress line unless `quiet`, and
// checkpoints, all writing into `dir`. What the job says of one of the latter in
// `callbacks` comes before its block (launch/config/block_callbacks.h).
std::vector<CallbackPtr> MakeCallbacks(const JobConfig& job, const RunDir& dir, bool quiet);

// auto, required or never: of the checkpoints in the job's run_dir.
std::string ResumeMode(const JobConfig& job);

}  // namespace tributary

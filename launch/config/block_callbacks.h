#pragma once

#include "core/base/options.h"

namespace tributary {

// Whether a callback of a job is the one that the job has anyway: Progress, the
// ModelCheckpoint that writes into run_dir/checkpoints (block `checkpoint`), the
// TensorBoard of run_dir/summaries (block `summary`). What it says comes before its
// block; one that writes elsewhere stands beside it.
bool StandsForBlock(const Options& callback);

// The options of a job as they are written down: callbacks like those without what nobody has
// chosen, since whatever is read there again comes before the block.
Options ForWriting(const Options& job);

}  // namespace tributary

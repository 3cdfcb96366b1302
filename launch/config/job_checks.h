#pragma once
// What no single key can get wrong: checks across the keys of a job.

#include <vector>

#include "core/base/option_check.h"

namespace tributary {

// `options` is what CheckOptions has made of `root`, and *problems what it has found:
// blocks with mistakes are left alone, so that all others are told at once.
void CheckJob(const Options& options, const OptionNode& root, int processes,
              std::vector<OptionProblem>* problems);

}  // namespace tributary

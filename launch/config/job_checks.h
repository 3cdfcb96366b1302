#pragma once
// What no single key can get wrong: checks across the keys of a job.

#include <vector>

#include "core/base/option_check.h"

namespace tributary {

// `options` is valid key by key; `root` is what it was made from, for the places.
void CheckJob(const Options& options, const OptionNode& root, int processes,
              std::vector<OptionProblem>* problems);

}  // namespace tributary

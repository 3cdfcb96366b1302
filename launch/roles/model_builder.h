#pragma once

#include "core/base/options.h"
#include "trainer/model/model.h"

namespace tributary {

// The model of a job: a list is a Sequential, named layers with `inputs:` are
// composed; outputs are the layers that nobody reads, in the order written.
// Throws what the layers throw.
ModelPtr MakeModel(const Options& job);

}  // namespace tributary

#pragma once

#include "core/base/options.h"
#include "trainer/data/dataset.h"

namespace tributary {

// The data set of a `data.*` block: its source, cut, shuffled and batched. The
// batch is the global one; the trainer gives each process its part.
data::Dataset MakeDataset(const Options& block, uint64_t seed);

}  // namespace tributary

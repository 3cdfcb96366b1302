#pragma once
// Lays the trainable variables and the optimizer's slots out in flat buckets.

#include <vector>

#include "trainer/optimizers/optimizer.h"
#include "trainer/strategy/strategy.h"

namespace tributary {

// Moves `trainable` into buckets that `strategy` allocates, in reverse order: the
// backward pass meets the last first. Slots get buckets of the same layout, filled
// with their initial values, and become the optimizer's. The gradient tensors are
// left undefined. Throws FailedPreconditionError when a plan holds a variable.
std::vector<FlatBucket> MakeParameterBuckets(const std::vector<VariablePtr>& trainable,
                                             Optimizer& optimizer, Strategy& strategy,
                                             size_t max_bytes);

}  // namespace tributary

#pragma once
// Lays the trainable variables and the optimizer's slots out in flat buckets.

#include <set>
#include <vector>

#include "trainer/optimizers/optimizer.h"
#include "trainer/strategy/strategy.h"

namespace tributary {

// A trainable variable that is updated row by row, with memory and slots of its own.
struct ParameterTable {
  VariablePtr variable;
  std::vector<VariablePtr> slots;
};

struct Parameters {
  std::vector<FlatBucket> buckets;
  std::vector<ParameterTable> tables;
};

// Which of the variables below `model` are tables worth updating row by row by this
// optimizer and strategy: those that layers read by rows, unless so small that a flat
// bucket is the cheaper place.
std::set<const Variable*> FindTables(const Module& model, const Optimizer& optimizer,
                                     const Strategy& strategy);

// Moves `trainable` without `tables` into buckets that `strategy` allocates, in reverse order: the
// backward pass meets the last first. Slots get buckets of the same layout, filled
// with their initial values, and become the optimizer's. The gradient tensors are
// left undefined. Throws FailedPreconditionError when a plan holds a variable.
Parameters MakeParameters(const std::vector<VariablePtr>& trainable,
                          const std::set<const Variable*>& tables, Optimizer& optimizer,
                          Strategy& strategy, size_t max_bytes);

}  // namespace tributary

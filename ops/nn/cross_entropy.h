#pragma once
// What both softmax cross-entropies share.

#include "core/graph/op.h"

namespace tributary {

// Gradient of the logits (input 0) of an op that returns {loss, backprop}.
Tensor CrossEntropyLogitsGradient(const GradContext& g);

}  // namespace tributary

#pragma once
// How targets and predictions are brought together (keras.src.losses.loss,
// squeeze_or_expand_to_same_rank).

#include <string>

#include "core/tensor/tensor.h"

namespace tributary::losses {

// y_true in the dtype and shape of y_pred: [n] and [n, 1] may stand for each other.
// Throws InvalidArgumentError naming `who` and both shapes.
Tensor TargetLike(const Tensor& y_true, const Tensor& y_pred, const std::string& who);

// Class numbers for predictions [..., classes]: y_true of [...] or [..., 1] in
// int32 or int64. Throws InvalidArgumentError.
Tensor ClassTarget(const Tensor& y_true, const Tensor& y_pred, const std::string& who);

// The input of the op that made `y`, when `y` is symbolic and came from `op` (the
// logits behind a softmax); else undefined.
Tensor InputOf(const Tensor& y, const char* op);

}  // namespace tributary::losses

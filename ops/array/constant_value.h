#pragma once
// Values that are known while a graph is being built.

#include <optional>
#include <vector>

#include "core/tensor/tensor.h"

namespace tributary::ops {

// The value of a concrete tensor or of a Const node, else null.
const Tensor* ConstantValue(const Tensor& tensor);

// The same as int64 numbers (of an int32 or int64 tensor).
std::optional<std::vector<int64_t>> ConstantInts(const Tensor& tensor);

}  // namespace tributary::ops

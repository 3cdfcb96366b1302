#include "ops/array/constant_value.h"

#include "core/graph/node.h"

namespace tributary::ops {

const Tensor* ConstantValue(const Tensor& tensor) {
  return tensor.IsSymbolic() ? tensor.node()->constant() : &tensor;
}

std::optional<std::vector<int64_t>> ConstantInts(const Tensor& tensor) {
  const Tensor* value = ConstantValue(tensor);
  if (!value) return std::nullopt;
  if (value->dtype() == DType::kInt64) return value->ToVector<int64_t>();
  const auto ints = value->values<int32_t>();
  return std::vector<int64_t>(ints.begin(), ints.end());
}

}  // namespace tributary::ops

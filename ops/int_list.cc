#include "ops/int_list.h"

namespace tributary::ops {
namespace {

Tensor FromInts(const std::vector<int64_t>& values) {
  const bool fits = std::all_of(values.begin(), values.end(), [](int64_t v) {
    return v == static_cast<int32_t>(v);
  });
  if (!fits) return Tensor::FromVector(values);
  return Tensor::FromVector(std::vector<int32_t>(values.begin(), values.end()));
}

}  // namespace

IntList::IntList(const std::vector<int64_t>& values) : tensor_(FromInts(values)) {}

IntList::IntList(const Shape& shape) {
  if (shape.unknown_rank()) {
    throw InvalidArgumentError("[shape] expected a shape of known rank, got <unknown>");
  }
  tensor_ = FromInts(shape.dims());
}

}  // namespace tributary::ops

#pragma once
// Arguments of builders that are lists of integers (shapes, axes, permutations):
// numbers, or a 1-D int32/int64 tensor that is computed by the program.
//
//   Reshape(x, {-1, 10});  Reshape(x, ShapeOf(y));  Sum(x, {0});  Sum(x);

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "core/tensor/tensor.h"

namespace tributary::ops {

class IntList {
 public:
  IntList(std::initializer_list<int64_t> values) : IntList(std::vector<int64_t>(values)) {}
  // int32 where the values fit, as TensorFlow's Python does, else int64.
  IntList(const std::vector<int64_t>& values);
  // -1 stands for an unknown dimension. Throws InvalidArgumentError for an
  // unknown rank.
  IntList(const Shape& shape);
  IntList(const Tensor& tensor) : tensor_(tensor) {}
  const Tensor& tensor() const { return tensor_; }

 protected:
  IntList() = default;
  Tensor tensor_;
};

// Axes of a reduction; all of them when nothing is given.
class Axes : public IntList {
 public:
  Axes() = default;
  Axes(std::initializer_list<int64_t> values) : IntList(values) {}
  Axes(const std::vector<int64_t>& values) : IntList(values) {}
  Axes(const Tensor& tensor) : IntList(tensor) {}
  bool all() const { return !tensor_.defined(); }
};

}  // namespace tributary::ops

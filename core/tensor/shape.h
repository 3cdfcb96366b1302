#pragma once
// Shape of a tensor: a list of dimensions. Also TensorFlow's
// PartialTensorShape: a dimension may be unknown (-1), or the rank itself.

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <tuple>
#include <vector>

namespace tributary {

class Shape {
 public:
  static constexpr int64_t kUnknownDim = -1;

  // A scalar.
  Shape() = default;
  // Throws InvalidArgumentError for a dimension below -1.
  Shape(std::initializer_list<int64_t> dims);
  explicit Shape(std::vector<int64_t> dims);
  static Shape UnknownRank();

  bool unknown_rank() const { return unknown_rank_; }
  // -1 when the rank is unknown.
  int rank() const { return unknown_rank_ ? -1 : static_cast<int>(dims_.size()); }
  // Negative `axis` counts from the end. Throws InvalidArgumentError.
  int64_t dim(int axis) const;
  int64_t operator[](int axis) const { return dims_[axis]; }
  const std::vector<int64_t>& dims() const { return dims_; }

  bool IsFullyDefined() const;
  // Product of the dimensions. Throws InvalidArgumentError when a dimension is
  // unknown or the product overflows.
  int64_t NumElements() const;
  // Row-major strides in elements.
  std::vector<int64_t> Strides() const;

  void set_dim(int axis, int64_t size);
  void AddDim(int64_t size) { dims_.push_back(size); }

  // True when both could describe one tensor (unknown matches anything).
  bool IsCompatibleWith(const Shape& other) const;
  // The more precise of two compatible shapes. Throws InvalidArgumentError.
  Shape MergeWith(const Shape& other) const;

  bool operator==(const Shape&) const = default;
  bool operator<(const Shape& other) const {
    return std::tie(unknown_rank_, dims_) < std::tie(other.unknown_rank_, other.dims_);
  }

  // "(2, 3)", "(None, 10)", "()", "<unknown>" as TensorFlow prints shapes.
  std::string ToString() const;

 private:
  std::vector<int64_t> dims_;
  bool unknown_rank_ = false;
};

// NumPy broadcasting. Throws InvalidArgumentError naming `op` and both shapes.
Shape BroadcastShapes(const Shape& a, const Shape& b, const std::string& op);

// `axis` in [-rank, rank) as a non-negative number. Throws InvalidArgumentError
// naming `op`.
int NormalizeAxis(int64_t axis, int rank, const std::string& op);

}  // namespace tributary

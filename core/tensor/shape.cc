#include "core/tensor/shape.h"

#include "core/base/checked.h"
#include "core/base/errors.h"
#include "core/base/strings.h"

namespace tributary {

Shape::Shape(std::initializer_list<int64_t> dims)
    : Shape(std::vector<int64_t>(dims)) {}

Shape::Shape(std::vector<int64_t> dims) : dims_(std::move(dims)) {
  for (const int64_t d : dims_) {
    if (d < kUnknownDim) {
      throw InvalidArgumentError("[shape] dimension {} is negative", d);
    }
  }
}

Shape Shape::UnknownRank() {
  Shape shape;
  shape.unknown_rank_ = true;
  return shape;
}

int64_t Shape::dim(int axis) const { return dims_[NormalizeAxis(axis, rank(), "shape")]; }

bool Shape::IsFullyDefined() const {
  if (unknown_rank_) return false;
  return std::find(dims_.begin(), dims_.end(), kUnknownDim) == dims_.end();
}

int64_t Shape::NumElements() const {
  if (!IsFullyDefined()) {
    throw InvalidArgumentError("[shape] {} has unknown dimensions, so its size is unknown",
                               ToString());
  }
  // A zero makes the product zero whatever the rest would overflow to.
  if (std::find(dims_.begin(), dims_.end(), 0) != dims_.end()) return 0;
  int64_t count = 1;
  for (const int64_t d : dims_) count = CheckedMul(count, d, "shape");
  return count;
}

std::vector<int64_t> Shape::Strides() const {
  std::vector<int64_t> strides(dims_.size());
  int64_t stride = 1;
  for (int i = static_cast<int>(dims_.size()) - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= std::max<int64_t>(dims_[i], 1);
  }
  return strides;
}

void Shape::set_dim(int axis, int64_t size) {
  dims_[NormalizeAxis(axis, rank(), "shape")] = size;
}

bool Shape::IsCompatibleWith(const Shape& other) const {
  if (unknown_rank_ || other.unknown_rank_) return true;
  if (dims_.size() != other.dims_.size()) return false;
  for (size_t i = 0; i < dims_.size(); ++i) {
    if (dims_[i] != other.dims_[i] && dims_[i] != kUnknownDim &&
        other.dims_[i] != kUnknownDim) {
      return false;
    }
  }
  return true;
}

Shape Shape::MergeWith(const Shape& other) const {
  if (!IsCompatibleWith(other)) {
    throw InvalidArgumentError("[shape] {} and {} are not compatible", ToString(),
                               other.ToString());
  }
  if (unknown_rank_) return other;
  if (other.unknown_rank_) return *this;
  Shape merged = *this;
  for (size_t i = 0; i < dims_.size(); ++i) {
    if (merged.dims_[i] == kUnknownDim) merged.dims_[i] = other.dims_[i];
  }
  return merged;
}

std::string Shape::ToString() const {
  if (unknown_rank_) return "<unknown>";
  std::vector<std::string> parts;
  for (const int64_t d : dims_) {
    parts.push_back(d == kUnknownDim ? "None" : std::to_string(d));
  }
  return "(" + Join(parts, ", ") + (parts.size() == 1 ? ",)" : ")");
}

Shape BroadcastShapes(const Shape& a, const Shape& b, const std::string& op) {
  if (a.unknown_rank() || b.unknown_rank()) return Shape::UnknownRank();
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> dims(rank);
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank());
    const int ib = i - (rank - b.rank());
    const int64_t da = ia < 0 ? 1 : a[ia];
    const int64_t db = ib < 0 ? 1 : b[ib];
    if (da == db) {
      dims[i] = da;
    } else if (da == 1) {
      dims[i] = db;
    } else if (db == 1) {
      dims[i] = da;
    } else if (da == Shape::kUnknownDim) {
      dims[i] = db;
    } else if (db == Shape::kUnknownDim) {
      dims[i] = da;
    } else {
      throw InvalidArgumentError("[{}] shapes {} and {} do not broadcast: dimension {} is {} "
                                 "against {}",
                                 op, a.ToString(), b.ToString(), i, da, db);
    }
  }
  return Shape(std::move(dims));
}

int NormalizeAxis(int64_t axis, int rank, const std::string& op) {
  if (axis < -rank || axis >= rank) {
    throw InvalidArgumentError("[{}] axis {} is out of range; expected [{}, {}) for rank {}",
                               op, axis, -rank, rank, rank);
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

}  // namespace tributary

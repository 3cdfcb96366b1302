#include "ops/array/shape_rules.h"

namespace tributary::ops {

void UnchangedShape(InferenceContext& c) { c.set_output(0, c.shape(0)); }

void ScalarShape(InferenceContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, Shape{});
}

void UnknownShape(InferenceContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, Shape::UnknownRank());
}

Shape ShapeFromInput(const InferenceContext& c, int i, bool allow_unknown) {
  const Shape& own = c.shape(i);
  if (!own.unknown_rank() && own.rank() != 1) {
    throw InvalidArgumentError("[{}] a shape must be a 1-D tensor, got shape {}", c.op(),
                               own.ToString());
  }
  if (const auto dims = c.constant_ints(i)) {
    for (const int64_t d : *dims) {
      if (d < (allow_unknown ? -1 : 0)) {
        throw InvalidArgumentError("[{}] dimension {} is negative in shape [{}]", c.op(), d,
                                   fmt::join(*dims, ", "));
      }
    }
    return Shape(*dims);
  }
  if (own.unknown_rank() || own[0] < 0) return Shape::UnknownRank();
  return Shape(std::vector<int64_t>(own[0], Shape::kUnknownDim));
}

std::optional<int64_t> ConstantInt(const InferenceContext& c, int i) {
  const auto values = c.constant_ints(i);
  if (!values) return std::nullopt;
  if (values->size() != 1) {
    throw InvalidArgumentError("[{}] input {} must be one integer, got {} of them", c.op(), i,
                               values->size());
  }
  return values->front();
}

void RequireScalar(const InferenceContext& c, int i, const char* what) {
  c.RequireRank(i, 0, what);
}

Shape MergeShapes(const InferenceContext& c, const Shape& a, const Shape& b) {
  if (!a.IsCompatibleWith(b)) {
    throw InvalidArgumentError("[{}] shapes {} and {} must be equal", c.op(), a.ToString(),
                               b.ToString());
  }
  return a.MergeWith(b);
}

int64_t MergeDims(const InferenceContext& c, int64_t a, int64_t b, const char* what) {
  if (a >= 0 && b >= 0 && a != b) {
    throw InvalidArgumentError("[{}] {} must be equal, got {} and {}", c.op(), what, a, b);
  }
  return a >= 0 ? a : b;
}

}  // namespace tributary::ops

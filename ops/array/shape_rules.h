#pragma once
// Shape rules that several ops share.

#include <optional>

#include "core/graph/op.h"

namespace tributary::ops {

// Output 0 has the shape of input 0.
void UnchangedShape(InferenceContext& c);
// Every output is a scalar.
void ScalarShape(InferenceContext& c);
// No outputs, or outputs of unknown rank.
void UnknownShape(InferenceContext& c);

// The shape that the 1-D int tensor input i describes, as far as it is known. -1 in
// a constant means unknown when `allow_unknown`, else it is an InvalidArgumentError.
Shape ShapeFromInput(const InferenceContext& c, int i, bool allow_unknown = false);

// The value of a constant scalar integer input, or nullopt.
std::optional<int64_t> ConstantInt(const InferenceContext& c, int i);

// Throws InvalidArgumentError unless input i is a scalar (or of unknown rank).
void RequireScalar(const InferenceContext& c, int i, const char* what);

// a merged with b. Throws InvalidArgumentError naming the op and both.
Shape MergeShapes(const InferenceContext& c, const Shape& a, const Shape& b);
// The same for one dimension.
int64_t MergeDims(const InferenceContext& c, int64_t a, int64_t b, const char* what);

}  // namespace tributary::ops

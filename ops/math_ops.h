#pragma once
// Builders of arithmetic, comparison and reduction ops (TensorFlow's math_ops).
//
// Two-operand ops broadcast as NumPy does. Both operands must have one dtype:
// InvalidArgumentError names both otherwise; Cast converts. Where a builder's name
// differs from the node's op, the op stands in the comment.

#include <string>
#include <vector>

#include "ops/int_list.h"

namespace tributary::ops {

// --- Two operands --------------------------------------------------------------
Tensor Add(const Tensor& x, const Tensor& y);  // AddV2
Tensor Sub(const Tensor& x, const Tensor& y);
Tensor Mul(const Tensor& x, const Tensor& y);
Tensor Div(const Tensor& x, const Tensor& y);  // RealDiv
// x / y, and 0 where y is 0.
Tensor DivNoNan(const Tensor& x, const Tensor& y);
// Rounded towards minus infinity. Integers: division by zero is an
// InvalidArgumentError.
Tensor FloorDiv(const Tensor& x, const Tensor& y);
Tensor FloorMod(const Tensor& x, const Tensor& y);
// NaN of either is the result. Equal elements: the gradient goes to x; with a NaN, to y.
Tensor Maximum(const Tensor& x, const Tensor& y);
Tensor Minimum(const Tensor& x, const Tensor& y);
Tensor Pow(const Tensor& x, const Tensor& y);
Tensor SquaredDifference(const Tensor& x, const Tensor& y);
Tensor Atan2(const Tensor& y, const Tensor& x);

// bool results.
Tensor Equal(const Tensor& x, const Tensor& y);
Tensor NotEqual(const Tensor& x, const Tensor& y);
Tensor Less(const Tensor& x, const Tensor& y);
Tensor LessEqual(const Tensor& x, const Tensor& y);
Tensor Greater(const Tensor& x, const Tensor& y);
Tensor GreaterEqual(const Tensor& x, const Tensor& y);
Tensor LogicalAnd(const Tensor& x, const Tensor& y);
Tensor LogicalOr(const Tensor& x, const Tensor& y);
Tensor LogicalNot(const Tensor& x);

// --- One operand -----------------------------------------------------------------
Tensor Neg(const Tensor& x);
Tensor Abs(const Tensor& x);
Tensor Sign(const Tensor& x);
Tensor Exp(const Tensor& x);
Tensor Expm1(const Tensor& x);
Tensor Log(const Tensor& x);
Tensor Log1p(const Tensor& x);
Tensor Sqrt(const Tensor& x);
Tensor Rsqrt(const Tensor& x);
Tensor Square(const Tensor& x);
Tensor Reciprocal(const Tensor& x);
Tensor Sin(const Tensor& x);
Tensor Cos(const Tensor& x);
Tensor Tan(const Tensor& x);
Tensor Asin(const Tensor& x);
Tensor Acos(const Tensor& x);
Tensor Atan(const Tensor& x);
Tensor Sinh(const Tensor& x);
Tensor Cosh(const Tensor& x);
Tensor Tanh(const Tensor& x);
Tensor Sigmoid(const Tensor& x);
Tensor Erf(const Tensor& x);
Tensor Erfc(const Tensor& x);
// No gradient flows through these.
Tensor Floor(const Tensor& x);
Tensor Ceil(const Tensor& x);
Tensor Round(const Tensor& x);  // half to even
Tensor Rint(const Tensor& x);
// bool results.
Tensor IsNan(const Tensor& x);
Tensor IsInf(const Tensor& x);
Tensor IsFinite(const Tensor& x);

// dy times the derivative of the op whose output is y.
Tensor TanhGrad(const Tensor& y, const Tensor& dy);
Tensor SigmoidGrad(const Tensor& y, const Tensor& dy);
Tensor SqrtGrad(const Tensor& y, const Tensor& dy);
Tensor RsqrtGrad(const Tensor& y, const Tensor& dy);
Tensor ReciprocalGrad(const Tensor& y, const Tensor& dy);

// --- Several operands ------------------------------------------------------------
// The sum of tensors of one shape.
Tensor AddN(const std::vector<Tensor>& inputs);
// t where condition, else e; all three broadcast. Op "SelectV2".
Tensor Select(const Tensor& condition, const Tensor& t, const Tensor& e);
// min and max: scalars or of t's shape.
Tensor ClipByValue(const Tensor& t, const Tensor& min, const Tensor& max);
// Inputs copied one after the other into one vector of `size` elements, input i at
// element offsets[i]. The plan lets their producers write there at once, so that
// nothing is copied. Gaps are zero, or with `leave_gaps` whatever lies there. Op "_FlatPack".
Tensor FlatPack(const std::vector<Tensor>& inputs, const std::vector<int64_t>& offsets,
                int64_t size, const std::string& bucket, bool leave_gaps = false);

// --- Reductions ------------------------------------------------------------------
// Over `axes` (all when none are given); kept as size 1 with keep_dims. An axis that is
// given twice is an InvalidArgumentError. Results do not depend on the number of threads.
// Integers: Sum and Prod wrap as the dtype does; Mean is that of the exact sum (of 64
// bits), rounded towards zero, and 0 of nothing.
Tensor Sum(const Tensor& input, const Axes& axes = {}, bool keep_dims = false);
Tensor Mean(const Tensor& input, const Axes& axes = {}, bool keep_dims = false);
Tensor Prod(const Tensor& input, const Axes& axes = {}, bool keep_dims = false);
Tensor Max(const Tensor& input, const Axes& axes = {}, bool keep_dims = false);
Tensor Min(const Tensor& input, const Axes& axes = {}, bool keep_dims = false);
Tensor All(const Tensor& input, const Axes& axes = {}, bool keep_dims = false);
Tensor Any(const Tensor& input, const Axes& axes = {}, bool keep_dims = false);
// Sum of squares, half of it: sum(t * t) / 2.
Tensor L2Loss(const Tensor& t);
// The first of equal elements wins. A NaN counts as the extreme, as in NumPy: the first
// one wins. (TensorFlow passes over NaN.)
Tensor ArgMax(const Tensor& input, int64_t axis, DType output_type = DType::kInt64);
Tensor ArgMin(const Tensor& input, int64_t axis, DType output_type = DType::kInt64);
// {values, indices (int32)} of the k largest along the last axis, descending; of
// equal elements the lower index first. NaN comes before all numbers. Op "TopKV2".
std::vector<Tensor> TopK(const Tensor& input, int64_t k, bool sorted = true);
// Running sums and products along an axis. The gradient of Cumprod is exact at zeros.
Tensor Cumsum(const Tensor& x, int64_t axis, bool exclusive = false, bool reverse = false);
Tensor Cumprod(const Tensor& x, int64_t axis, bool exclusive = false, bool reverse = false);

}  // namespace tributary::ops

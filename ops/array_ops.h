#pragma once
// Builders of ops that make, move and shape arrays (TensorFlow's array_ops).
//
// Common rules: an axis may be negative (from the end); shapes are checked when
// the op is built where they are known, else when the plan is; a bad argument
// throws InvalidArgumentError naming the op. Where a builder's name differs from
// the node's op, the op stands in the comment.

#include <string>
#include <vector>

#include "ops/int_list.h"

namespace tributary::ops {

// A constant. Eager: `value` itself.
Tensor Const(const Tensor& value, const std::string& name = "Const");
// A constant scalar of x's dtype: `ScalarLike(x, 0.5)`.
Tensor ScalarLike(const Tensor& x, double value);
// Fed when the plan runs. Needs an active graph (FailedPreconditionError).
Tensor Placeholder(DType dtype, const Shape& shape, const std::string& name = "Placeholder");
// `input` unless something else is fed.
Tensor PlaceholderWithDefault(const Tensor& input, const Shape& shape);
Tensor Identity(const Tensor& input, const std::string& name = "");
// Identity whose gradient is nothing.
Tensor StopGradient(const Tensor& input);
// Converts every element. Floating to integer truncates towards zero and
// saturates, NaN gives 0; to bool: not equal to zero. Same dtype: `x` itself.
Tensor Cast(const Tensor& x, DType dtype);

// Op "Shape": the shape as a 1-D tensor. A constant when it is known.
Tensor ShapeOf(const Tensor& input, DType out_type = DType::kInt32);
// Op "Size": the number of elements. A constant when it is known.
Tensor SizeOf(const Tensor& input, DType out_type = DType::kInt32);
// Op "Rank".
Tensor RankOf(const Tensor& input);
// r0, r1: the axes over which a gradient of broadcasting shapes s0 and s1 must
// be summed for either.
std::vector<Tensor> BroadcastGradientArgs(const Tensor& s0, const Tensor& s1);
// What a gradient function of a broadcasting op returns for operand x: `grad`
// summed over what broadcasting (against `other`) had spread, in x's shape.
Tensor UnbroadcastLike(const Tensor& grad, const Tensor& x, const Tensor& other);

// Same elements, other shape; one dimension may be -1.
Tensor Reshape(const Tensor& tensor, const IntList& shape);
// x in the shape of `like`; x itself when the shapes are known to be equal.
Tensor ReshapeLike(const Tensor& x, const Tensor& like);
Tensor ExpandDims(const Tensor& input, int64_t axis);
// Drops dimensions of size 1: those of `axes`, or all.
Tensor Squeeze(const Tensor& input, const std::vector<int64_t>& axes = {});
// Output dimension i is input dimension perm[i].
Tensor Transpose(const Tensor& x, const IntList& perm);
Tensor InvertPermutation(const Tensor& x);
Tensor BroadcastTo(const Tensor& input, const IntList& shape);
Tensor Tile(const Tensor& input, const IntList& multiples);
// paddings: [rank, 2], elements before and after each dimension. Op "Pad" / "PadV2".
Tensor Pad(const Tensor& input, const Tensor& paddings);
Tensor PadV2(const Tensor& input, const Tensor& paddings, const Tensor& constant_value);
Tensor Reverse(const Tensor& tensor, const IntList& axes);

// Op "ConcatV2".
Tensor Concat(const std::vector<Tensor>& values, int64_t axis);
// Equal parts.
std::vector<Tensor> Split(const Tensor& value, int64_t num_split, int64_t axis);
// Parts of these sizes, one of which may be -1.
std::vector<Tensor> SplitV(const Tensor& value, const IntList& sizes, int64_t axis);
// Stacks along a new axis.
Tensor Pack(const std::vector<Tensor>& values, int64_t axis = 0);
// `num` < 0: taken from the shape.
std::vector<Tensor> Unpack(const Tensor& value, int64_t axis = 0, int64_t num = -1);
// input[begin : begin + size] in every dimension; size -1: all the rest.
Tensor Slice(const Tensor& input, const IntList& begin, const IntList& size);

struct StridedSliceMasks {
  int64_t begin = 0, end = 0, ellipsis = 0, new_axis = 0, shrink_axis = 0;
};
// NumPy's x[begin:end:strides]; masks as tf.strided_slice.
Tensor StridedSlice(const Tensor& input, const IntList& begin, const IntList& end,
                    const IntList& strides, const StridedSliceMasks& masks = {});

// Op "GatherV2": rows `indices` of params along `axis`. An index out of range
// throws InvalidArgumentError when the kernel runs.
Tensor Gather(const Tensor& params, const Tensor& indices, int64_t axis = 0,
              int64_t batch_dims = 0);
// Sums rows of `data` that share a segment id into [num_segments, ...]. Negative
// ids are dropped.
Tensor UnsortedSegmentSum(const Tensor& data, const Tensor& segment_ids,
                          const Tensor& num_segments);

// `dims` filled with the scalar `value`.
Tensor Fill(const IntList& dims, const Tensor& value);
// Fill with 0 or 1 of a dtype.
Tensor Zeros(const IntList& dims, DType dtype);
Tensor Ones(const IntList& dims, DType dtype);
Tensor ZerosLike(const Tensor& x);
Tensor OnesLike(const Tensor& x);
// start, start + delta, ... below limit (above, for a negative delta).
Tensor Range(const Tensor& start, const Tensor& limit, const Tensor& delta);
// A new axis of size depth, on_value at the index, off_value elsewhere (also
// everywhere for an index out of range).
Tensor OneHot(const Tensor& indices, int64_t depth, const Tensor& on_value,
              const Tensor& off_value, int64_t axis = -1);
// A NoOp node that waits for the nodes of all `effects`; null when all are concrete
// (they have run).
Node* Group(const std::vector<Tensor>& effects, const std::string& name = "NoOp");

}  // namespace tributary::ops

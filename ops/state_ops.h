#pragma once
// Builders of ops on variables (TensorFlow's resource variable ops). `resource`
// is Variable::handle(). Ops on one variable run in program order.

#include "core/tensor/tensor.h"

namespace tributary::ops {

// The value of a variable. Its dtype and shape come from the handle.
Tensor ReadVariableOp(const Tensor& resource);
// True: variables are initialised when they are created.
Tensor VarIsInitializedOp(const Tensor& resource);

// variable = value, += value, -= value. Throw InvalidArgumentError on another
// dtype or shape, naming both.
void AssignVariableOp(const Tensor& resource, const Tensor& value);
void AssignAddVariableOp(const Tensor& resource, const Tensor& value);
void AssignSubVariableOp(const Tensor& resource, const Tensor& value);

// Rows `indices` (any shape, int32 or int64) along axis 0. The gradient is
// IndexedSlices. An index out of range throws InvalidArgumentError.
Tensor ResourceGather(const Tensor& resource, const Tensor& indices);

// variable[indices[i]] += updates[i], -=, =. Repeated indices add up (the last
// one wins for Update). updates: indices.shape + variable.shape[1:], or a scalar.
void ResourceScatterAdd(const Tensor& resource, const Tensor& indices, const Tensor& updates);
void ResourceScatterSub(const Tensor& resource, const Tensor& indices, const Tensor& updates);
void ResourceScatterUpdate(const Tensor& resource, const Tensor& indices,
                           const Tensor& updates);

}  // namespace tributary::ops

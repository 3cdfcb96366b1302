#pragma once
// _CheckFinite: stops a step whose numbers are not finite, before it updates
// anything. One pass over memory that is in cache.

#include <vector>

#include "core/tensor/tensor.h"

namespace tributary {

// Adds a node (or checks now) that throws InvalidArgumentError when an element of
// `values` (floating) is infinite or NaN, after writing 1 + the number of that
// tensor into the int64 scalar variable `flag`.
void CheckFinite(const Tensor& flag, const std::vector<Tensor>& values);

// The same of the product transpose(a[k, m]) x b[k, n], which is not computed: throws unless no
// sum of `terms` products of their elements can be infinite or NaN. `flag` becomes 1.
void CheckFiniteProduct(const Tensor& flag, const Tensor& a, const Tensor& b, int64_t terms);

// The position of the first element that is not finite, or -1.
int64_t FirstNonFinite(const Tensor& value);

}  // namespace tributary

#pragma once
// Sums the contributions to one gradient, dense or sparse.

#include <vector>

#include "core/graph/op.h"

namespace tributary {

// Undefined for no contributions; sparse while all are; else dense.
Grad AccumulateGrads(const std::vector<Grad>& parts);

// Calls the op's gradient function on output gradients `parts` (one list of
// contributions per output). Empty result: no gradient flows through. Throws
// UnimplementedError naming the op.
Grads BackpropagateOp(const OpSchema& schema, const AttrMap& attrs,
                      const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
                      const std::vector<std::vector<Grad>>& parts);

}  // namespace tributary

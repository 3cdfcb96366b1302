#pragma once
// Optimizer updates for gradients of which only some rows are there.

#include <string>
#include <vector>

#include "core/graph/attr.h"
#include "core/tensor/tensor.h"

namespace tributary::ops {

// Rows values[i] at row indices[i] (int32 or int64) of a gradient that is zero
// elsewhere. Equal indices are added up, negative ones left out.
struct RowSlices {
  Tensor values, indices;
};

// Updates `variables` (handles: the table and its slots) by one of the rules
//   GradientDescent   var | alpha
//   KerasMomentum     var, accum | lr, momentum            attr use_nesterov
//   Adagrad           var, accum | lr, epsilon             Keras's
//   RMSProp           var, ms, mom | lr, rho, momentum, epsilon
//   CenteredRMSProp   var, mg, ms, mom | lr, rho, momentum, epsilon
//   Adam              var, m, v | beta1_power, beta2_power, lr, beta1, beta2, epsilon,
//                     weight_decay
// with the formulas of update_ops.h. lazy: rows that are not there stay as they are, and
// so do their slots; else the result is, to the bit, that of the dense op. Op
// "_SparseApply<rule>". Throws InvalidArgumentError for an index beyond the table.
void SparseApply(const std::string& rule, std::vector<Tensor> variables,
                 const std::vector<Tensor>& numbers, const RowSlices& gradient, bool lazy,
                 AttrMap attrs = {});

}  // namespace tributary::ops

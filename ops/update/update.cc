#include "ops/update/update.h"

#include "core/runtime/variable.h"
#include "ops/array/shape_rules.h"
#include "ops/nn/sample_tensors.h"

namespace tributary {

void UpdateShape(InferenceContext& c, int variables, int grad, int indices) {
  Shape shape = c.shape(0);
  for (int i = 1; i < variables; ++i) {
    if (c.dtype(i) != c.dtype(0)) {
      throw InvalidArgumentError("[{}] slot {} is {}, the variable is {}", c.op(), i,
                                 DTypeName(c.dtype(i)), DTypeName(c.dtype(0)));
    }
    shape = ops::MergeShapes(c, shape, c.shape(i));
  }
  for (int i = variables; i < c.num_inputs(); ++i) {
    if (i != grad && i != indices) ops::RequireScalar(c, i, "a hyperparameter");
  }
  if (indices < 0) {
    ops::MergeShapes(c, shape, c.shape(grad));
    return;
  }
  c.RequireRank(indices, 1, "indices");
  if (shape.unknown_rank() || c.shape(grad).unknown_rank()) return;
  if (shape.rank() == 0) {
    throw InvalidArgumentError("[{}] the variable is a scalar and has no rows", c.op());
  }
  const int64_t n = c.shape(indices).unknown_rank() ? -1 : c.shape(indices)[0];
  shape.set_dim(0, n);
  ops::MergeShapes(c, shape, c.shape(grad));
}

Tensor SampleVariable(float shift) {
  return Variable::Create("sample", Wave({3, 5}, 0.7f, 0.3f, shift))->handle();
}

Tensor SampleGradient() { return Wave({3, 5}, 0.9f); }

}  // namespace tributary

#pragma once
// What the update ops share.

#include "core/graph/kernel.h"
#include "ops/update/update_loops.h"

namespace tributary {

// Shape rule: inputs [0, variables) are variables of one dtype and shape, which input
// `grad` has too; all others are scalars. Sparse (indices >= 0): grad and indices are
// rows of the variable. Throws InvalidArgumentError naming the op.
void UpdateShape(InferenceContext& c, int variables, int grad, int indices = -1);

// A scalar hyperparameter, read when the kernel runs.
inline float Number(const LaunchArgs& args, int input) {
  return *static_cast<const float*>(args.in[input]);
}
inline float* Slot(const LaunchArgs& args, int input) {
  return static_cast<float*>(args.in[input]);
}

// For samples: a new variable of shape (3, 5), values in [shift - 0.3, shift + 0.3].
Tensor SampleVariable(float shift);
// For samples: a gradient of that shape.
Tensor SampleGradient();

// Runs `update(row of the variable, row of grad)` for each index in order; throws
// InvalidArgumentError for an index out of range, before anything is written.
template <typename Fn>
void OverRows(const char* op, const void* indices, DType dtype, int64_t count, int64_t rows,
              const Fn& update) {
  const auto at = [&](int64_t i) -> int64_t {
    return dtype == DType::kInt32 ? static_cast<const int32_t*>(indices)[i]
                                  : static_cast<const int64_t*>(indices)[i];
  };
  for (int64_t i = 0; i < count; ++i) {
    if (at(i) < 0 || at(i) >= rows) {
      throw InvalidArgumentError("[{}] index {} at {} is out of range; expected [0, {})", op,
                                 at(i), i, rows);
    }
  }
  for (int64_t i = 0; i < count; ++i) update(at(i), i);
}

}  // namespace tributary

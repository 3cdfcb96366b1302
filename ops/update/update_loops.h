#pragma once
// Optimizer updates over flat float arrays: one pass over memory, vectorised. They do
// one range each; callers share ranges out among threads (elements do not meet).

#include <cstdint>

#include "core/update/update_rule.h"

namespace tributary {

enum class UpdateRule {
  kGradientDescent,     // a: lr
  kMomentum,            // slot0: accum; a: lr, b: momentum
  kNesterov,            // the same
  kKerasMomentum,       // the same
  kKerasNesterov,       // the same
  kAdagrad,             // slot0: accum; a: lr, b: epsilon
  kAdagradFrozen,       // the same, accum is only read
  kKerasAdagrad,        // the same as kAdagrad, with epsilon inside of the root
  kRMSProp,             // slot0: ms, slot1: mom; a: lr, b: 1 - rho, c: momentum, d: epsilon
  kCenteredRMSProp,     // and slot2: mg
  kAdam,                // slot0: m, slot1: v; a: step size, b: 1 - beta1, c: 1 - beta2,
                        // d: epsilon, e: 1 - lr * weight_decay
  kAdamNesterov,        // the same, e: beta1
  kRowWiseAdagrad,      // slot0: one accum for all; a: lr, b: epsilon
  kAdadelta,            // slot0: accumulated_grad, slot1: accumulated_delta_var; a: lr,
                        // b: rho, c: epsilon, d: 1 - rho
  kFtrl,                // slot0: accumulator, slot1: linear; a: 1 / lr, b: l1,
                        // c: 2 * (l2 + beta / (2 * lr)), d: 2 * l2_shrinkage
  kLamb,                // slot0: m, slot1: v; a: lr, b: 1 - beta1, c: 1 - beta2,
                        // d: epsilon, e: 1 / (1 - beta1^t), f: 1 / (1 - beta2^t)
};

// Rules that take a variable (or row) whole: their range begins at 0.
inline bool TakesWhole(UpdateRule rule) {
  return rule == UpdateRule::kRowWiseAdagrad || rule == UpdateRule::kLamb;
}

UpdateFn FindUpdate(UpdateRule rule);
UpdateRowsFn FindUpdateRows(UpdateRule rule);

// The whole array, on the compute team.
void RunUpdate(UpdateRule rule, const UpdateArrays& arrays, const UpdateNumbers& numbers,
               int64_t count);

}  // namespace tributary

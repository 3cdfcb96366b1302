#pragma once
// Optimizer updates over flat float arrays: one pass over memory, vectorised. They do
// one range each; callers share ranges out among threads (elements do not meet).

#include <cstdint>

namespace tributary {

// Arrays of `count` elements; a rule uses those it needs.
struct UpdateArrays {
  float* var = nullptr;
  float* slot0 = nullptr;
  float* slot1 = nullptr;
  float* slot2 = nullptr;
  const float* grad = nullptr;
};

// Numbers of a rule; what each means stands at the rule.
struct UpdateNumbers {
  float a = 0, b = 0, c = 0, d = 0, e = 0;
};

enum class UpdateRule {
  kGradientDescent,     // a: lr
  kMomentum,            // slot0: accum; a: lr, b: momentum
  kNesterov,            // the same
  kKerasMomentum,       // the same
  kKerasNesterov,       // the same
  kAdagrad,             // slot0: accum; a: lr, b: epsilon
  kAdagradFrozen,       // the same, accum is only read
  kRMSProp,             // slot0: ms, slot1: mom; a: lr, b: 1 - rho, c: momentum, d: epsilon
  kCenteredRMSProp,     // and slot2: mg
  kAdam,                // slot0: m, slot1: v; a: step size, b: 1 - beta1, c: 1 - beta2,
                        // d: epsilon, e: 1 - lr * weight_decay
  kAdamNesterov,        // the same, e: beta1
};

using UpdateFn = void (*)(const UpdateArrays& arrays, const UpdateNumbers& numbers,
                          int64_t begin, int64_t end);
UpdateFn FindUpdate(UpdateRule rule);

// The whole array, on the compute team.
void RunUpdate(UpdateRule rule, const UpdateArrays& arrays, const UpdateNumbers& numbers,
               int64_t count);

}  // namespace tributary

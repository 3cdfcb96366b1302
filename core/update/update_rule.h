#pragma once
// Optimizer arithmetic by name: one rule updates weights and slots from a gradient.
// The ops that apply gradients and the parameter servers run the same loops; they are
// implemented and registered in ops/update (core knows no formula).
//
//   auto rule = UpdateRules().Make("Adam", {{"learning_rate", 0.001}});
//   rule.update({.var = w, .slot0 = m, .slot1 = v, .grad = g}, rule.numbers(step, lr), 0, n);
//
// Names and options are those of keras.optimizers. A rule is immutable; any thread.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/option_registry.h"

namespace tributary {

// Arrays of `count` elements; a rule uses those it needs.
struct UpdateArrays {
  float* var = nullptr;
  float* slot0 = nullptr;
  float* slot1 = nullptr;
  float* slot2 = nullptr;
  const float* grad = nullptr;
};

// Numbers of a rule; what each means stands at the rule (ops/update/update_loops.h).
struct UpdateNumbers {
  float a = 0, b = 0, c = 0, d = 0, e = 0, f = 0;
};

// Elements [begin, end). Bits do not depend on where a range is cut.
using UpdateFn = void (*)(const UpdateArrays& arrays, const UpdateNumbers& numbers,
                          int64_t begin, int64_t end);

// Rows that do not lie together. A row is `width` weights, then the slots in order:
// `width` floats each, or one float for a slot that is per row. The gradients of the
// rows lie back to back. A row may stand there twice: its gradients apply in order.
struct UpdateRowsArgs {
  float* const* rows = nullptr;
  const float* grads = nullptr;
  int64_t count = 0;
  int64_t width = 0;
};
using UpdateRowsFn = void (*)(const UpdateRowsArgs& args, const UpdateNumbers& numbers);

struct RuleSlot {
  std::string name;  // Keras's: "momentum", "velocity", "accumulator"
  float initial = 0;
  bool per_row = false;  // one number for a whole row (or dense variable)
};

struct NamedUpdateRule {
  std::string name;
  std::vector<RuleSlot> slots;
  double learning_rate = 0;
  // The numbers of update `step` (the first is 1).
  std::function<UpdateNumbers(int64_t step, double learning_rate)> numbers;
  UpdateFn update = nullptr;
  UpdateRowsFn update_rows = nullptr;
  // False: an element's update depends on the whole variable or row (norms), so that
  // `update` takes it whole and it may not be partitioned.
  bool elementwise = true;
  // True: a step changes rows that got no gradient too (moments decay). After
  // `idle_horizon` such steps only `decay` is left to do, for float's precision.
  bool idle_rows_change = false;
  int64_t idle_horizon = 0;
  // What k idle steps beyond the horizon multiply slots with.
  std::function<double(int slot, int64_t k)> idle_decay;
};

using UpdateRuleRegistry = OptionRegistry<NamedUpdateRule(const Options&)>;
UpdateRuleRegistry& UpdateRules();

}  // namespace tributary

#pragma once
// One part of a dense variable on its server: weights and slots. Owned by one thread.

#include <cstdint>
#include <span>
#include <vector>

#include "core/update/update_rule.h"
#include "distribute/ps/table_spec.h"

namespace tributary::ps {

class DenseVariable {
 public:
  // Zeros until it is assigned. Throws about the spec.
  explicit DenseVariable(VariableSpec spec);

  const VariableSpec& spec() const { return spec_; }
  const NamedUpdateRule& rule() const { return rule_; }
  std::span<const float> weights() const { return weights_; }
  // Elements of slot k: all, or one.
  std::span<const float> slot(size_t k) const { return slots_[k]; }
  std::span<float> mutable_weights() { return weights_; }
  std::span<float> mutable_slot(size_t k) { return slots_[k]; }

  // From now on an update keeps what it replaces, until the next one or an assignment.
  void KeepBefore() { keeps_before_ = true; }
  // As they were before update `update`; as they are, where that has not changed them.
  std::span<const float> weights_before(uint64_t update) const {
    return before_of(update) ? before_ : weights_;
  }
  uint64_t version_before(uint64_t update) const { return version_ - before_of(update); }
  void RestoreBefore(uint64_t update, std::vector<float> weights) {
    before_ = std::move(weights);
    before_of_ = update;
  }

  // Update number `update` (from 1) by a gradient of all elements.
  void Apply(const float* grad, uint64_t update, double learning_rate);
  void Assign(const float* weights);

  uint64_t updates() const { return updates_; }
  // Rises with every change of the weights; never 0.
  uint64_t version() const { return version_; }
  void RestoreCounts(uint64_t updates, uint64_t version) {
    updates_ = updates;
    version_ = version;
    before_of_ = 0;
  }
  uint64_t bytes() const;

 private:
  bool before_of(uint64_t update) const { return update > 0 && before_of_ == update; }

  VariableSpec spec_;
  NamedUpdateRule rule_;
  std::vector<float> weights_;
  std::vector<std::vector<float>> slots_;
  uint64_t updates_ = 0, version_ = 1;
  bool keeps_before_ = false;
  std::vector<float> before_;
  uint64_t before_of_ = 0;  // the update that has replaced them; 0: none
};

}  // namespace tributary::ps

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

  // Update number `update` (from 1) by a gradient of all elements.
  void Apply(const float* grad, uint64_t update, double learning_rate);
  void Assign(const float* weights);

  uint64_t updates() const { return updates_; }
  // Rises with every change of the weights; never 0.
  uint64_t version() const { return version_; }
  void RestoreCounts(uint64_t updates, uint64_t version) {
    updates_ = updates;
    version_ = version;
  }
  uint64_t bytes() const;

 private:
  VariableSpec spec_;
  NamedUpdateRule rule_;
  std::vector<float> weights_;
  std::vector<std::vector<float>> slots_;
  uint64_t updates_ = 0, version_ = 1;
};

}  // namespace tributary::ps

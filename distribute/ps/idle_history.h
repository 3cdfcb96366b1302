#pragma once
// The numbers of past updates, for rows that have missed some (see EmbeddingTable).

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/update/update_rule.h"

namespace tributary::ps {

class IdleHistory {
 public:
  // Update `base` + size() + 1. Only a (step size) and e (what weights keep) change.
  void Add(const UpdateNumbers& numbers) {
    steps_.push_back({numbers.a, numbers.e, total_});
    total_ += std::log(static_cast<double>(numbers.e));
  }
  // Forgets all up to update `base`, whose rows are all caught up.
  void Reset(uint64_t base, double total) {
    steps_.clear();
    base_ = base;
    total_ = total;
  }
  uint64_t size() const { return steps_.size(); }
  uint64_t base() const { return base_; }
  // Of update `number` in (base, base + size].
  UpdateNumbers At(uint64_t number, UpdateNumbers numbers) const {
    numbers.a = steps_[number - base_ - 1].a;
    numbers.e = steps_[number - base_ - 1].e;
    return numbers;
  }
  // The logarithm of what weights kept over updates 1 to `number`.
  double LogUpTo(uint64_t number) const {
    return number - base_ >= steps_.size() ? total_ : steps_[number - base_].log_before;
  }
  double total() const { return total_; }
  uint64_t bytes() const { return steps_.size() * sizeof(Step); }

 private:
  struct Step {
    float a, e;
    double log_before;
  };
  std::vector<Step> steps_;
  uint64_t base_ = 0;
  double total_ = 0;
};

}  // namespace tributary::ps

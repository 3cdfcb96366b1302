#pragma once
// Sums gradient rows of the same id, in the order given. Memory is used again; one
// thread.

#include <cstdint>
#include <span>
#include <vector>

#include "distribute/ps/row_index.h"

namespace tributary::ps {

class RowCombiner {
 public:
  void Reset(int64_t width) {
    width_ = width;
    ids_.clear();
    sums_.clear();
    std::fill(slots_.begin(), slots_.end(), kFree);
  }
  void Add(std::span<const uint64_t> ids, const float* grads) {
    Reserve(ids_.size() + ids.size());
    for (size_t i = 0; i < ids.size(); ++i, grads += width_) {
      size_t at = RowIndex::Hash(ids[i]) & (slots_.size() - 1);
      while (slots_[at] != kFree && ids_[slots_[at]] != ids[i]) at = (at + 1) & (slots_.size() - 1);
      if (slots_[at] == kFree) {
        slots_[at] = static_cast<uint32_t>(ids_.size());
        ids_.push_back(ids[i]);
        sums_.insert(sums_.end(), grads, grads + width_);
      } else {
        float* sum = sums_.data() + slots_[at] * width_;
        for (int64_t j = 0; j < width_; ++j) sum[j] += grads[j];
      }
    }
  }
  // In the order of their first appearance.
  std::span<const uint64_t> ids() const { return ids_; }
  const float* sums() const { return sums_.data(); }

 private:
  static constexpr uint32_t kFree = 0xffffffffu;

  void Reserve(size_t ids) {
    size_t size = std::max<size_t>(64, slots_.size());
    while (size < 2 * ids) size *= 2;
    if (size == slots_.size()) return;
    slots_.assign(size, kFree);
    for (size_t i = 0; i < ids_.size(); ++i) {
      size_t at = RowIndex::Hash(ids_[i]) & (size - 1);
      while (slots_[at] != kFree) at = (at + 1) & (size - 1);
      slots_[at] = static_cast<uint32_t>(i);
    }
  }

  int64_t width_ = 0;
  std::vector<uint64_t> ids_;
  std::vector<float> sums_;
  std::vector<uint32_t> slots_;
};

}  // namespace tributary::ps

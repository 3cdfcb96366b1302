#pragma once
// What the last update of a table replaced: the weights of the rows that it touched or evicted,
// and which rows it created. EmbeddingTable::LookupBefore reads from it.
//
// Of an id that is added more than once the first entry counts, so that whoever adds need not
// know. Memory is that of one update, and is used again. Owned by the table's thread.

#include <cstdint>
#include <cstring>
#include <functional>
#include <unordered_map>
#include <vector>

namespace tributary::ps {

class RowsBefore {
 public:
  explicit RowsBefore(int64_t width = 1) : width_(static_cast<size_t>(width)) {}

  // An update begins: what was kept of the one before it goes. `updates`: those that the table
  // has had; `idle_log`: what idle weights have kept over them (IdleHistory).
  void Begin(uint64_t updates, double idle_log);
  // Nothing is kept, not even memory.
  void Drop();
  bool kept() const { return kept_; }
  uint64_t updates() const { return updates_; }
  double idle_log() const { return idle_log_; }

  void Add(uint64_t id, const float* weights) {
    if ((used_ + 1) * width_ > weights_.size()) weights_.resize((2 * used_ + 64) * width_);
    std::memcpy(weights_.data() + used_ * width_, weights, width_ * sizeof(float));
    entries_.push_back({id, static_cast<uint32_t>(used_++)});
  }
  // A row that was not there.
  void AddNew(uint64_t id) { entries_.push_back({id, kNew}); }

  struct Found {
    bool listed = false;
    const float* weights = nullptr;  // null: there was no row; until the next Add
  };
  Found Find(uint64_t id);
  // Each id once, in the order in which they were added; without weights: a new row.
  void ForEach(const std::function<void(uint64_t id, const float* weights)>& visit);

  uint64_t bytes() const {
    return weights_.capacity() * sizeof(float) + entries_.capacity() * sizeof(Entry) +
           first_.size() * 32;
  }

 private:
  static constexpr uint32_t kNew = 0xffffffffu;
  struct Entry {
    uint64_t id;
    uint32_t place;  // in weights_, in rows
  };
  const float* WeightsOf(const Entry& e) const {
    return e.place == kNew ? nullptr : weights_.data() + e.place * width_;
  }
  void Index();

  size_t width_;
  bool kept_ = false;
  uint64_t updates_ = 0;
  double idle_log_ = 0;
  std::vector<Entry> entries_;
  std::vector<float> weights_;
  size_t used_ = 0;  // rows of weights_
  std::unordered_map<uint64_t, size_t> first_;  // id -> its first entry; built when one looks
  size_t indexed_ = 0;                          // entries that are in it
};

}  // namespace tributary::ps

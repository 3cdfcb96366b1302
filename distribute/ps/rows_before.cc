#include "distribute/ps/rows_before.h"

namespace tributary::ps {
namespace {

constexpr size_t kSpareFloats = 1 << 20;

}  // namespace

void RowsBefore::Begin(uint64_t updates, double idle_log) {
  // A cut lists all idle rows: so much memory is not held for updates that touch few.
  if (weights_.size() > kSpareFloats && used_ * width_ < weights_.size() / 8) Drop();
  kept_ = true;
  updates_ = updates;
  idle_log_ = idle_log;
  entries_.clear();
  used_ = 0;
  if (indexed_ > 0) first_.clear();
  indexed_ = 0;
}

void RowsBefore::Drop() { *this = RowsBefore(static_cast<int64_t>(width_)); }

void RowsBefore::Index() {
  for (; indexed_ < entries_.size(); ++indexed_) first_.emplace(entries_[indexed_].id, indexed_);
}

RowsBefore::Found RowsBefore::Find(uint64_t id) {
  Index();
  const auto it = first_.find(id);
  if (it == first_.end()) return {};
  return {true, WeightsOf(entries_[it->second])};
}

void RowsBefore::ForEach(const std::function<void(uint64_t, const float*)>& visit) {
  Index();
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (first_.find(entries_[i].id)->second == i) visit(entries_[i].id, WeightsOf(entries_[i]));
  }
}

}  // namespace tributary::ps

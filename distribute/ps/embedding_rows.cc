// Rows of a table that go, are saved and come back.

#include <algorithm>
#include <cstring>

#include "core/base/errors.h"
#include "distribute/ps/embedding_table.h"

namespace tributary::ps {
namespace {

constexpr uint64_t kSweeps = 4096;  // updates that go by until all rows were looked at

}  // namespace

void EmbeddingTable::Free(uint64_t id) {
  const uint32_t row = index_.Erase(RowIndex::Hash(id), id);
  std::memcpy(Row(row), &free_row_, sizeof(free_row_));
  free_row_ = row;
}

// Evicts the longest unused of the rows that follow the hand in the order of hashes.
bool EmbeddingTable::MakeRoom() {
  struct Candidate {
    uint64_t hash, id;
    uint32_t row;
  };
  const auto now = static_cast<uint32_t>(updates_ + 1);
  std::vector<Candidate> found;
  for (int segments = 0; segments <= RowIndex::kSegments; ++segments) {
    found.clear();
    index_.VisitFrom(hands_.room, kEvictCandidates + 1, [&](uint64_t hash, uint64_t id, uint32_t row) {
      found.push_back({hash, id, row});
    });
    std::sort(found.begin(), found.end(),
              [](const Candidate& a, const Candidate& b) { return a.hash < b.hash; });
    const bool more = found.size() > kEvictCandidates;
    hands_.room = more ? found[kEvictCandidates].hash : RowIndex::NextSegment(hands_.room);
    if (more) found.resize(kEvictCandidates);
    const Candidate* oldest = nullptr;
    for (const Candidate& c : found) {
      if (seen_[c.row] == now) continue;
      const auto score = [&](const Candidate& x) {
        return std::pair(now - seen_[x.row], 255 - frequency_[x.row]);
      };
      if (!oldest || score(c) > score(*oldest)) oldest = &c;
    }
    if (!oldest) continue;
    Free(oldest->id);
    ++counters_.evicted;
    return true;
  }
  return false;
}

// Looks at the next part of all rows for those whose time is over.
void EmbeddingTable::SweepExpired() {
  const RowPolicy& p = spec_.policy;
  if (p.evict_after == 0 && p.min_frequency == 0) return;
  uint64_t sweeps = kSweeps;
  if (p.evict_after > 0) sweeps = std::min<uint64_t>(sweeps, p.evict_after / 4);
  if (p.min_frequency > 0) sweeps = std::min<uint64_t>(sweeps, p.grace / 4);
  // A part lies in one segment of the index.
  const uint64_t part = ~uint64_t{0} / std::max<uint64_t>(sweeps, RowIndex::kSegments);
  const auto now = static_cast<uint32_t>(updates_);
  std::vector<uint64_t> gone;
  const int parts = sweeps < RowIndex::kSegments ? RowIndex::kSegments : 1;
  for (int i = 0; i < parts; ++i) {
    const uint64_t from = hands_.expired;
    const uint64_t segment_end = RowIndex::NextSegment(from) - 1;
    const uint64_t last = segment_end - from < part ? segment_end : from + part;
    index_.VisitRange(from, last, [&](uint64_t id, uint32_t row) {
      const uint32_t age = now - seen_[row];
      if ((p.evict_after > 0 && age >= p.evict_after) ||
          (p.min_frequency > 0 && age >= p.grace && frequency_[row] < p.min_frequency)) {
        gone.push_back(id);
      }
    });
    hands_.expired = last + 1;
  }
  for (const uint64_t id : gone) Free(id);
  counters_.evicted += gone.size();
}


// --- Cuts ----------------------------------------------------------------------------

void EmbeddingTable::Settle() {
  if (!rule_.idle_rows_change) return;
  index_.ForEach([&](uint64_t, uint32_t row) { CatchUp(Row(row), updates_); });
  history_.Reset(updates_, history_.total());
}

void EmbeddingTable::ForEachRow(const std::function<void(const SavedRow&)>& visit) const {
  const bool evicts = spec_.policy.has_eviction();
  index_.ForEach([&](uint64_t id, uint32_t row) {
    visit({id, Row(row), evicts ? seen_[row] : 0, evicts ? frequency_[row] : 0u});
  });
}

void EmbeddingTable::RestoreRow(const SavedRow& saved) {
  const uint64_t hash = RowIndex::Hash(saved.id);
  uint32_t row = index_.Find(hash, saved.id);
  if (row == RowIndex::kNone) {
    if (index_.size() >= max_rows_) {
      throw ResourceExhaustedError("[ps] table '{}': a checkpoint has more rows than max_bytes "
                                   "holds ({} rows)", spec_.name, max_rows_);
    }
    row = TakeRow();
    index_.Insert(hash, saved.id, row);
  }
  std::memcpy(Row(row), saved.values, row_floats_ * sizeof(float));
  if (rule_.idle_rows_change) SetUpto(Row(row), updates_);
  if (spec_.policy.has_eviction()) {
    seen_[row] = saved.seen;
    frequency_[row] = static_cast<uint8_t>(std::min<uint32_t>(saved.frequency, 255));
  }
}

void EmbeddingTable::RestoreState(const SavedState& state) {
  updates_ = state.updates;
  hands_ = state.hands;
  history_.Reset(state.updates, state.idle_log);
}

void EmbeddingTable::Clear() {
  index_ = RowIndex();
  next_row_ = 0;
  free_row_ = RowIndex::kNone;
  seen_.clear();
  frequency_.clear();
  RestoreState({});
}

}  // namespace tributary::ps

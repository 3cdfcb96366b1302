#pragma once
// One server's part of an embedding table: rows by 64-bit id, created by the first push
// that may, their weights and slots in one piece of memory.
//
// **Only pushes change it.** A lookup of an id without a row computes what the row
// would begin with (or zeros, where rows must earn admission) and leaves no trace, so
// the table is a function of the pushes in their order: a log of them is a copy.
//
// A rule whose moments decay in every step (Adam, AdamW) catches a row up when it is
// pushed next, and a lookup does so on the side: the weights are those that an update
// of all rows in every step gives.
//
// Overhead beyond weights and slots: at most 19 bytes a row, 5 more with eviction.
// Owned by one thread (the server's); nothing here locks.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/update/update_rule.h"
#include "distribute/ps/admission.h"
#include "distribute/ps/idle_history.h"
#include "distribute/ps/memory_map.h"
#include "distribute/ps/row_index.h"
#include "distribute/ps/row_initializer.h"
#include "distribute/ps/table_spec.h"

namespace tributary::ps {

class EmbeddingTable {
 public:
  struct Counters {
    uint64_t lookups = 0, hits = 0;  // ids
    uint64_t pushes = 0;             // ids
    uint64_t created = 0, refused = 0 /* not admitted */, evicted = 0;
    uint64_t no_room = 0;  // pushes dropped because every row at the cap was in use
  };

  // Throws InvalidArgumentError or NotFoundError about the spec.
  explicit EmbeddingTable(TableSpec spec);

  const TableSpec& spec() const { return spec_; }
  const NamedUpdateRule& rule() const { return rule_; }
  int64_t width() const { return spec_.width; }

  // out[i * width .. ] = weights of ids[i]. Ids may repeat.
  void Lookup(std::span<const uint64_t> ids, float* out);

  // One update of the table: number updates() + 1. An id may repeat; its gradients are
  // applied one after another. An empty push counts too (moments decay). `grads` must
  // be finite: whoever calls has looked.
  void Push(std::span<const uint64_t> ids, const float* grads, double learning_rate);

  uint64_t rows() const { return index_.size(); }
  uint64_t bytes() const;
  uint64_t updates() const { return updates_; }
  const Counters& counters() const { return counters_; }

  // A row as it is saved: weights and slots, caught up by Settle().
  struct SavedRow {
    uint64_t id;
    const float* values;  // row_floats() of them
    uint32_t seen;        // update that pushed it last, and
    uint32_t frequency;   // how often it was pushed (saturates); 0 without eviction
  };
  // Weights and slots of one row, in floats (see UpdateRowsArgs for their order).
  int64_t row_floats() const { return row_floats_; }
  // Brings every row up to this update: what a cut does before it copies.
  void Settle();
  void ForEachRow(const std::function<void(const SavedRow&)>& visit) const;
  // Puts back a saved row; replaces one that is there.
  void RestoreRow(const SavedRow& row);
  // Where eviction looks next, as hashes.
  struct Hands {
    uint64_t room = 0, expired = 0;
  };
  // What there is besides rows and the admission filter.
  struct SavedState {
    uint64_t updates = 0;
    double idle_log = 0;
    Hands hands;
  };
  SavedState state() const { return {updates_, history_.total(), hands_}; }
  void RestoreState(const SavedState& state);
  AdmissionFilter& admission() { return admission_; }
  const AdmissionFilter& admission() const { return admission_; }
  void Clear();

 private:
  static constexpr size_t kGroup = 32;
  static constexpr int kEvictCandidates = 16;  // rows looked at to evict one
  struct Found {  // of a group of ids; a row is null where it was not admitted
    uint64_t hashes[kGroup];
    float* rows[kGroup];
  };

  float* Row(uint32_t row) const {
    return static_cast<float*>(rows_.data()) + static_cast<size_t>(row) * stride_;
  }
  [[gnu::always_inline]] void PrefetchRow(uint32_t row) const {
    const char* at = reinterpret_cast<const char*>(Row(row));
    const int64_t bytes = stride_ * static_cast<int64_t>(sizeof(float));
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + i, 1);
    if (bytes % 64) __builtin_prefetch(at + bytes - 1, 1);
  }
  void CopyWeights(uint64_t id, uint32_t row, float* out);
  uint32_t TakeRow();
  uint32_t NewRow(uint64_t hash, uint64_t id);
  void InitialWeights(uint64_t id, float* out) const;
  bool Admitted(uint64_t id);
  bool MakeRoom();
  void Free(uint64_t id);
  void SweepExpired();
  void CatchUp(float* row, uint64_t update);
  void FindOrCreate(std::span<const uint64_t> ids, Found* found);
  void Update(const Found& found, int64_t count, const float* grads,
              const UpdateNumbers& numbers);
  // The update up to which a row of a rule with idle_rows_change is brought.
  uint32_t Upto(const float* row) const;
  void SetUpto(float* row, uint64_t update) const;

  TableSpec spec_;
  NamedUpdateRule rule_;
  RowInitializer initializer_;
  int64_t row_floats_ = 0;
  int64_t stride_ = 0;  // row_floats_, and one float for the update where rule_.idle_rows_change
  RowIndex index_;
  MemoryMap rows_;
  uint32_t next_row_ = 0;    // rows handed out so far
  uint32_t free_row_ = RowIndex::kNone;  // head of the list through freed rows
  uint64_t max_rows_ = 0;
  std::vector<uint32_t> seen_;     // with eviction, by row
  std::vector<uint8_t> frequency_;
  AdmissionFilter admission_;
  IdleHistory history_;
  uint64_t updates_ = 0;
  Hands hands_;
  Counters counters_;
  std::vector<float> scratch_, zeros_;
};

}  // namespace tributary::ps

#pragma once
// Who takes part, how far each is, and which of its requests were already applied.
//
// Part of a shard's replicated state: changed only by what stands in the log. Owned by
// the server's thread.

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/base/errors.h"

namespace tributary::ps {

// The sequence numbers of one worker that were seen: the highest and a window below it.
// What lies under the window counts as seen, so that memory is bounded; a sender has
// far fewer requests under way than the window is long.
class SequenceWindow {
 public:
  static constexpr uint64_t kLength = 1024;

  bool Seen(uint64_t sequence) const {
    if (sequence > highest_) return false;
    return highest_ - sequence >= kLength || bits_[sequence % kLength];
  }
  void Mark(uint64_t sequence) {
    if (sequence > highest_) {
      const uint64_t gap = sequence - highest_;
      if (gap >= kLength) {
        bits_.reset();
      } else {
        for (uint64_t s = highest_ + 1; s < sequence; ++s) bits_.reset(s % kLength);
      }
      highest_ = sequence;
    }
    bits_.set(sequence % kLength);
  }
  uint64_t highest() const { return highest_; }
  std::string bits() const { return bits_.to_string(); }
  void Restore(uint64_t highest, const std::string& bits) {
    highest_ = highest;
    bits_ = std::bitset<kLength>(bits);
  }

 private:
  uint64_t highest_ = 0;
  std::bitset<kLength> bits_;
};

struct WorkerEntry {
  uint64_t generation = 0;
  int64_t clock = 0;    // steps done
  int64_t pace = 0;     // of what it computes from (shard.h)
  bool active = false;  // joined, and not evicted since
  bool parked = false;  // nobody waits for it
  SequenceWindow seen;
};

class WorkerLedger {
 public:
  static constexpr size_t kMaxWorkers = 1 << 16;

  // A worker comes, or comes back. The same generation again changes nothing; a higher
  // one starts its sequence anew. Throws FailedPreconditionError for a lower one.
  void Join(uint32_t worker, uint64_t generation, int64_t step) {
    if (!entries_.contains(worker) && entries_.size() >= kMaxWorkers) {
      throw ResourceExhaustedError("[ps] more than {} workers", kMaxWorkers);
    }
    WorkerEntry& e = entries_[worker];
    if (generation < e.generation) throw Fenced(worker, generation, e);
    if (e.active && generation == e.generation) return;
    e = {.generation = generation, .clock = step, .pace = step, .active = true, .seen = {}};
    e.pace = PaceOnGoingOn(worker);
  }
  void Park(uint32_t worker, uint64_t generation) { Current(worker, generation).parked = true; }
  void GoOn(uint32_t worker, uint64_t generation, int64_t pace) {
    WorkerEntry& e = Current(worker, generation);
    e.parked = false;
    e.pace = std::max(e.pace, pace);
  }
  // Where a parked worker would go on: where it is, or where the slowest is that others
  // wait for; the furthest, when there is none.
  int64_t PaceOnGoingOn(uint32_t worker) const {
    int64_t own = 0, furthest = 0;
    for (const auto& [id, e] : entries_) {
      if (id == worker) own = e.pace;
      if (e.active) furthest = std::max(furthest, e.pace);
    }
    return std::max(own, OthersThan(worker).slowest.value_or(furthest));
  }
  // From now on only generations of at least `generation`, and above the present one,
  // are heard.
  void Evict(uint32_t worker, uint64_t generation) {
    const auto it = entries_.find(worker);
    if (it == entries_.end()) {
      throw NotFoundError("[ps] worker {} can't be evicted: it has never joined", worker);
    }
    it->second.generation = std::max(generation, it->second.generation + 1);
    it->second.active = false;
  }

  // The entry of a sender that may speak. Throws FailedPreconditionError: it has not
  // joined, was evicted, or is an earlier life of a worker.
  WorkerEntry& Current(uint32_t worker, uint64_t generation) {
    const auto it = entries_.find(worker);
    if (it == entries_.end()) {
      throw FailedPreconditionError("[ps] worker {} has not joined; send kJoin first", worker);
    }
    if (!it->second.active || generation != it->second.generation) {
      throw Fenced(worker, generation, it->second);
    }
    return it->second;
  }

  // The paces of the active workers but `except` and those that are parked; nothing without.
  struct Paces {
    std::optional<int64_t> slowest, furthest;
  };
  Paces OthersThan(uint32_t except) const {
    Paces paces;
    for (const auto& [id, e] : entries_) {
      if (!e.active || e.parked || id == except) continue;
      paces.slowest = std::min(paces.slowest.value_or(e.pace), e.pace);
      paces.furthest = std::max(paces.furthest.value_or(e.pace), e.pace);
    }
    return paces;
  }
  int64_t Slowest() const { return OthersThan(UINT32_MAX).slowest.value_or(0); }
  int active() const {
    int n = 0;
    for (const auto& [id, e] : entries_) n += e.active;
    return n;
  }
  std::map<uint32_t, WorkerEntry>& entries() { return entries_; }
  const std::map<uint32_t, WorkerEntry>& entries() const { return entries_; }

 private:
  static FailedPreconditionError Fenced(uint32_t worker, uint64_t generation,
                                        const WorkerEntry& e) {
    return FailedPreconditionError(
        "[ps] worker {} of generation {} is fenced: generation {} {}; join again with a new one",
        worker, generation, e.generation, e.active ? "has taken its place" : "was evicted");
  }
  std::map<uint32_t, WorkerEntry> entries_;
};

}  // namespace tributary::ps

#pragma once
// From a 64-bit id to the number of its row: open addressing in buckets of one cache
// line, built for batches that prefetch.
//
// A bucket holds five ids with their rows and counts the entries that had to go past
// it, so that a search ends where it may and nothing is ever a tombstone. Any number
// of buckets will do (a hash is scaled, not masked): the index grows by a fifth and
// stays at least 70 % full, 19 bytes a row at worst. Four segments grow one at a
// time, so that no request waits for the whole index.
//
// Owned by one thread.

#include <array>
#include <cstdint>
#include <utility>

#include "core/base/philox.h"
#include "distribute/ps/memory_map.h"
#include "distribute/ps/sharding.h"

namespace tributary::ps {

class RowIndex {
 public:
  static constexpr uint32_t kNone = 0xffffffffu;
  static constexpr int kSegments = 4;

  static uint64_t Hash(uint64_t id) { return MixSeed(0x524f57, id); }

  // Inlined by force: GCC takes a function that only prefetches for one without effect
  // and drops the call.
  [[gnu::always_inline]] void Prefetch(uint64_t hash) const { __builtin_prefetch(&Home(hash)); }

  // The row, or kNone.
  uint32_t Find(uint64_t hash, uint64_t id) const {
    const Segment& s = segments_[hash >> kSegmentShift];
    const Bucket* const home = s.buckets + HomeOf(s, hash);
    const Bucket* bucket = home;
    for (;;) {
      // All ways at once: where an id stands can't be predicted. An empty way may hold
      // the id of one that was erased.
      uint32_t same = 0;
#pragma GCC unroll 5
      for (int i = 0; i < kWays; ++i) same |= static_cast<uint32_t>(bucket->ids[i] == id) << i;
      for (; same; same &= same - 1) {
        const uint32_t row = bucket->rows[__builtin_ctz(same)];
        if (row != kNone) return row;
      }
      if (bucket->passed == 0) return kNone;
      if (++bucket == s.buckets + s.count) bucket = s.buckets;
      if (bucket == home) return kNone;  // a small segment may have been passed everywhere
    }
  }

  // `id` must not be there. May grow a segment.
  void Insert(uint64_t hash, uint64_t id, uint32_t row);
  // The row that it had, or kNone.
  uint32_t Erase(uint64_t hash, uint64_t id);

  // Room for `rows` without growing.
  void Reserve(uint64_t rows);
  uint64_t size() const { return size_; }
  uint64_t bytes() const;

  // Visits entries of the segment of `from` whose hash is at least `from`, until
  // `enough` were visited and none further on has a smaller hash than one that was
  // visited. Which entries a caller then finds by their hashes depends on what is in
  // the index, not on where it happens to lie.
  template <typename Visit>
  void VisitFrom(uint64_t from, int64_t enough, const Visit& visit) const {
    Scan(segments_[from >> kSegmentShift], HomeOf(segments_[from >> kSegmentShift], from),
         [&](uint64_t hash, uint64_t id, uint32_t row) {
           if (hash < from) return;
           visit(hash, id, row);
           --enough;
         },
         [&](uint64_t) { return enough <= 0; });
  }
  // Visits every entry with a hash in [from, last], which must lie in one segment.
  template <typename Visit>
  void VisitRange(uint64_t from, uint64_t last, const Visit& visit) const {
    const Segment& s = segments_[from >> kSegmentShift];
    const uint64_t end = HomeOf(s, last);
    Scan(s, HomeOf(s, from),
         [&](uint64_t hash, uint64_t id, uint32_t row) {
           if (hash >= from && hash <= last) visit(id, row);
         },
         [&](uint64_t at) { return at >= end; });
  }
  // The smallest hash of the segment after that of `hash`; 0 after the last.
  static uint64_t NextSegment(uint64_t hash) { return ((hash >> kSegmentShift) + 1) << kSegmentShift; }

  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const Segment& s : segments_) {
      for (uint64_t b = 0; b < s.count; ++b) {
        for (int i = 0; i < kWays; ++i) {
          if (s.buckets[b].rows[i] != kNone) visit(s.buckets[b].ids[i], s.buckets[b].rows[i]);
        }
      }
    }
  }

  RowIndex();

 private:
  static constexpr int kWays = 5;
  static constexpr int kSegmentBits = 2, kSegmentShift = 64 - kSegmentBits;
  static_assert(kSegments == 1 << kSegmentBits);

  struct alignas(64) Bucket {
    uint64_t ids[kWays];
    uint32_t rows[kWays];
    uint32_t passed;  // entries whose home is before it and whose place is after it
  };
  static_assert(sizeof(Bucket) == 64);

  struct Segment {
    MemoryMap memory;
    Bucket* buckets = nullptr;
    uint64_t count = 0;
    uint64_t used = 0;
  };

  // Entries by their homes from `start` on, up to the first bucket that enough(bucket)
  // is true of and that nothing went past, or the segment's end. Entries that went past
  // the end lie at the beginning.
  template <typename Visit, typename Enough>
  static void Scan(const Segment& s, uint64_t start, const Visit& visit, const Enough& enough) {
    bool wrapped = false;
    for (uint64_t at = start;;) {
      const Bucket& bucket = s.buckets[at];
      for (int i = 0; i < kWays; ++i) {
        if (bucket.rows[i] == kNone) continue;
        const uint64_t hash = Hash(bucket.ids[i]);
        if ((HomeOf(s, hash) > at) == wrapped) visit(hash, bucket.ids[i], bucket.rows[i]);
      }
      if (bucket.passed == 0 && (wrapped || enough(at))) return;
      if (++at < s.count) continue;
      if (wrapped || bucket.passed == 0) return;
      at = 0;
      wrapped = true;
    }
  }
  static uint64_t HomeOf(const Segment& s, uint64_t hash) { return ScaleHash(hash << kSegmentBits, s.count); }
  [[gnu::always_inline]] const Bucket& Home(uint64_t hash) const {
    const Segment& s = segments_[hash >> kSegmentShift];
    return s.buckets[HomeOf(s, hash)];
  }
  static void Put(Segment& s, uint64_t hash, uint64_t id, uint32_t row);
  static void Resize(Segment& s, uint64_t count);

  std::array<Segment, kSegments> segments_;
  uint64_t size_ = 0;
};

}  // namespace tributary::ps

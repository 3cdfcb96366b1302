#include "distribute/ps/row_index.h"

#include <algorithm>
#include <cmath>

namespace tributary::ps {
namespace {

constexpr double kFullest = 0.85, kGrowth = 1.2;

}  // namespace

RowIndex::RowIndex() {
  for (Segment& s : segments_) Resize(s, 2);
}

void RowIndex::Put(Segment& s, uint64_t hash, uint64_t id, uint32_t row) {
  Bucket* bucket = s.buckets + HomeOf(s, hash);
  for (;;) {
    for (int i = 0; i < kWays; ++i) {
      if (bucket->rows[i] == kNone) {
        bucket->ids[i] = id;
        bucket->rows[i] = row;
        ++s.used;
        return;
      }
    }
    ++bucket->passed;
    if (++bucket == s.buckets + s.count) bucket = s.buckets;
  }
}

void RowIndex::Resize(Segment& s, uint64_t count) {
  Segment bigger;
  bigger.memory = MemoryMap(count * sizeof(Bucket));
  bigger.buckets = static_cast<Bucket*>(bigger.memory.data());
  bigger.count = count;
  for (uint64_t b = 0; b < count; ++b) {
    for (uint32_t& row : bigger.buckets[b].rows) row = kNone;
  }
  // Homes rise with the hash, so both are walked from front to back.
  for (uint64_t b = 0; b < s.count; ++b) {
    for (int i = 0; i < kWays; ++i) {
      const uint64_t id = s.buckets[b].ids[i];
      if (s.buckets[b].rows[i] != kNone) Put(bigger, Hash(id), id, s.buckets[b].rows[i]);
    }
  }
  s = std::move(bigger);
}

void RowIndex::Insert(uint64_t hash, uint64_t id, uint32_t row) {
  Segment& s = segments_[hash >> kSegmentShift];
  if (static_cast<double>(s.used + 1) > kFullest * kWays * static_cast<double>(s.count)) {
    Resize(s, std::max<uint64_t>(s.count + 1, static_cast<uint64_t>(s.count * kGrowth)));
  }
  Put(s, hash, id, row);
  ++size_;
}

uint32_t RowIndex::Erase(uint64_t hash, uint64_t id) {
  Segment& s = segments_[hash >> kSegmentShift];
  const uint64_t home = HomeOf(s, hash);
  uint64_t at = home;
  for (;;) {
    Bucket& bucket = s.buckets[at];
    for (int i = 0; i < kWays; ++i) {
      if (bucket.ids[i] != id || bucket.rows[i] == kNone) continue;
      const uint32_t row = std::exchange(bucket.rows[i], kNone);
      for (uint64_t b = home; b != at; b = b + 1 == s.count ? 0 : b + 1) --s.buckets[b].passed;
      --s.used;
      --size_;
      return row;
    }
    if (bucket.passed == 0) return kNone;
    at = at + 1 == s.count ? 0 : at + 1;
    if (at == home) return kNone;  // see Find
  }
}

void RowIndex::Reserve(uint64_t rows) {
  // Segments get their share and three deviations more.
  const double share = static_cast<double>(rows) / kSegments;
  const auto count = static_cast<uint64_t>((share + 3 * std::sqrt(share)) / (kFullest * kWays)) + 2;
  for (Segment& s : segments_) {
    if (count > s.count) Resize(s, count);
  }
}

uint64_t RowIndex::bytes() const {
  uint64_t total = 0;
  for (const Segment& s : segments_) total += s.count * sizeof(Bucket);
  return total;
}

}  // namespace tributary::ps

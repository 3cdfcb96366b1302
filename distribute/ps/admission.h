#pragma once
// How often ids without a row were pushed: a counting filter of fixed size (count-min,
// two 8-bit counters in one cache line). It may count an id too often, never too
// seldom. Halved as it fills, at moments that follow from the pushes alone.

#include <cstdint>
#include <span>
#include <vector>

#include "distribute/ps/sharding.h"

namespace tributary::ps {

class AdmissionFilter {
 public:
  AdmissionFilter() = default;
  explicit AdmissionFilter(uint64_t bytes) : counters_((bytes + 63) / 64 * 64) {}

  // Counts one push of `id`; how many there were before.
  uint32_t Count(uint64_t id) {
    const uint64_t hash = MixSeed(0x61646d, id);
    uint8_t* line = counters_.data() + ScaleHash(hash, counters_.size() / 64) * 64;
    uint8_t& a = line[hash & 31];
    uint8_t& b = line[32 + (hash >> 5 & 31)];
    const uint32_t before = a < b ? a : b;
    if (a == before && a < 255) ++a;
    if (b == before && b < 255) ++b;
    if (++since_halved_ >= counters_.size()) Halve();
    return before;
  }

  std::span<const uint8_t> counters() const { return counters_; }
  uint64_t since_halved() const { return since_halved_; }
  void Restore(std::span<const uint8_t> counters, uint64_t since_halved) {
    if (counters.size() != counters_.size()) return;  // another number of servers
    counters_.assign(counters.begin(), counters.end());
    since_halved_ = since_halved;
  }

 private:
  void Halve() {
    for (uint8_t& c : counters_) c /= 2;
    since_halved_ = 0;
  }
  std::vector<uint8_t> counters_;
  uint64_t since_halved_ = 0;
};

}  // namespace tributary::ps

#pragma once
// Which server keeps which row. Ids are mixed into virtual slots, and servers own
// ranges of slots: neighbouring ids, multiples and hot ranges spread evenly (never
// id % N), and a later change of the number of servers moves whole slots.

#include <cstdint>

#include "core/base/philox.h"

namespace tributary::ps {

inline constexpr uint64_t kVirtualSlots = 1 << 14;

// floor(hash * n / 2^64): a range without a division.
inline uint64_t ScaleHash(uint64_t hash, uint64_t n) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * n) >> 64);
}

inline uint64_t VirtualSlotOf(uint64_t id) {
  return ScaleHash(MixSeed(0x7269627574617279, id), kVirtualSlots);
}

// In [0, num_servers); num_servers <= kVirtualSlots.
inline int ServerOfSlot(uint64_t slot, int num_servers) {
  return static_cast<int>(slot * static_cast<uint64_t>(num_servers) / kVirtualSlots);
}
inline int ServerOfRow(uint64_t id, int num_servers) {
  return ServerOfSlot(VirtualSlotOf(id), num_servers);
}

}  // namespace tributary::ps

#include "distribute/ps/key_lists.h"

#include <algorithm>
#include <random>
#include <utility>

#include "core/base/philox.h"

namespace tributary::ps {
namespace {

uint64_t Fold(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

// Products of 128 bits that fold into each other (wyhash, Wang Yi), in four chains: a
// multiplication takes as long as four of them one after another.
uint64_t SignatureOf(std::span<const uint64_t> ids, uint32_t seed) {
  constexpr size_t kLanes = 4;
  uint64_t secret[kLanes], lanes[kLanes];
  for (size_t k = 0; k < kLanes; ++k) {
    secret[k] = MixSeed(0x6b657973 + k, seed);
    lanes[k] = MixSeed(secret[k], ids.size());
  }
  const uint64_t* id = ids.data();
  size_t left = ids.size();
  for (; left >= 2 * kLanes; left -= 2 * kLanes, id += 2 * kLanes) {
#pragma GCC unroll 4
    for (size_t k = 0; k < kLanes; ++k) {
      lanes[k] = Fold(id[2 * k] ^ secret[k], id[2 * k + 1] ^ lanes[k]);
    }
  }
  for (; left > 0; --left, ++id) lanes[0] = Fold(*id ^ secret[0], lanes[0] ^ secret[1]);
  for (size_t k = 1; k < kLanes; ++k) lanes[0] = Fold(lanes[0] ^ secret[k], lanes[k] ^ secret[0]);
  return lanes[0];
}

uint32_t SignatureSeed() {
  static const uint32_t seed = std::random_device{}();
  return seed;
}

int RecentLists::Find(uint64_t signature, uint64_t count) {
  for (size_t i = 0; i < kMaxLists; ++i) {
    if (signatures_[i] != signature || counts_[i] != count || used_[i] == 0) continue;
    used_[i] = ++now_;
    return static_cast<int>(i);
  }
  return kNone;
}

int RecentLists::Oldest() const {
  uint64_t oldest = UINT64_MAX;
  int slot = kNone;
  for (size_t i = 0; i < kMaxLists; ++i) {
    if (used_[i] == 0 || used_[i] >= oldest) continue;
    oldest = used_[i];
    slot = static_cast<int>(i);
  }
  return slot;
}

int RecentLists::Free() const {
  return static_cast<int>(std::ranges::find(used_, uint64_t{0}) - used_.begin());
}

KeyList KeptLists::Find(uint64_t signature, uint64_t count) {
  const int slot = recent_.Find(signature, count);
  return slot == RecentLists::kNone ? nullptr : lists_[static_cast<size_t>(slot)];
}

void KeptLists::Keep(uint64_t signature, std::span<const uint64_t> ids) {
  if (recent_.Find(signature, ids.size()) != RecentLists::kNone) return;
  // The memory of one that goes is used again, if nobody else has it and not much is left over.
  std::shared_ptr<std::vector<uint64_t>> memory;
  const int slot = recent_.Add(signature, ids.size(), [&](int dropped) {
    std::shared_ptr<std::vector<uint64_t>> list =
        std::move(lists_[static_cast<size_t>(dropped)]);
    const size_t room = list ? list->capacity() : 0;
    if (list.use_count() == 1 && room >= ids.size() && room / 2 <= ids.size()) {
      memory = std::move(list);
    }
  });
  if (slot == RecentLists::kNone) return;
  if (!memory) memory = std::make_shared<std::vector<uint64_t>>();
  memory->assign(ids.begin(), ids.end());
  lists_[static_cast<size_t>(slot)] = std::move(memory);
}

}  // namespace tributary::ps

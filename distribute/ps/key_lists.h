#pragma once
// Lists of ids that need not travel twice.
//
// The rows of a batch are pulled, and a step later their gradients pushed; tables are looked
// up by the same ids; batches repeat. A server keeps the lists that a worker has sent last,
// and the worker, which keeps the same account, names them by their signatures (Li et al.
// 2014, section 5.1: key caching).
//
// Only a cache: a server that does not have a list says so, and the worker says it in full.

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace tributary::ps {

// 64 bits of the ids and their order. The seed is the sender's: who makes up ids (users do)
// does not know it, and can't make up two lists of one signature.
uint64_t SignatureOf(std::span<const uint64_t> ids, uint32_t seed);
// This process's own.
uint32_t SignatureSeed();

// Which lists are kept: those used last, as far as they fit. It depends on nothing but the
// order of requests, so that both sides agree; an account that was begun later, or anew, has
// no list that the other has not.
class RecentLists {
 public:
  static constexpr size_t kMaxLists = 256;
  static constexpr uint64_t kMaxIds = uint64_t{2} << 20;  // of all lists: 16 MiB
  static constexpr uint64_t kMinIds = 16;  // shorter ones are not worth the trouble
  static constexpr int kNone = -1;

  // The slot of a list, now the one used last; kNone.
  int Find(uint64_t signature, uint64_t count);
  // The slot for a new one, which may be that of one that is dropped for it; dropped(slot) is
  // called for each. kNone: too short or too long.
  template <typename Dropped>
  int Add(uint64_t signature, uint64_t count, const Dropped& dropped);
  int Add(uint64_t signature, uint64_t count) {
    return Add(signature, count, [](int) {});
  }
  void Clear() { *this = {}; }
  size_t lists() const { return lists_; }
  uint64_t ids() const { return ids_; }

 private:
  int Oldest() const;
  int Free() const;

  std::array<uint64_t, kMaxLists> signatures_{}, counts_{};
  std::array<uint64_t, kMaxLists> used_{};  // when; 0: the slot is free
  size_t lists_ = 0;
  uint64_t ids_ = 0, now_ = 0;
};

template <typename Dropped>
int RecentLists::Add(uint64_t signature, uint64_t count, const Dropped& dropped) {
  if (count < kMinIds || count > kMaxIds) return kNone;
  while (lists_ == kMaxLists || ids_ + count > kMaxIds) {
    const int oldest = Oldest();
    dropped(oldest);
    ids_ -= counts_[oldest];
    used_[oldest] = 0;
    --lists_;
  }
  const int slot = Free();
  signatures_[slot] = signature;
  counts_[slot] = count;
  used_[slot] = ++now_;
  ids_ += count;
  ++lists_;
  return slot;
}

// A list that outlives its place among those kept as long as somebody needs it.
using KeyList = std::shared_ptr<const std::vector<uint64_t>>;

// What a server keeps of one worker's. One thread.
class KeptLists {
 public:
  // Null: there is no such list of `count` ids.
  KeyList Find(uint64_t signature, uint64_t count);
  // Copies `ids`, unless they are kept already.
  void Keep(uint64_t signature, std::span<const uint64_t> ids);
  uint64_t bytes() const { return recent_.ids() * sizeof(uint64_t); }

 private:
  RecentLists recent_;
  std::array<std::shared_ptr<std::vector<uint64_t>>, RecentLists::kMaxLists> lists_;
};

}  // namespace tributary::ps

#include "distribute/ps/key_set.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "distribute/ps/row_index.h"
#include "distribute/ps/sharding.h"

namespace tributary::ps {
namespace {

constexpr uint32_t kFree = 0xffffffffu;
constexpr size_t kAhead = 16;  // ids whose slots are fetched ahead

}  // namespace

template <typename Id>
void KeySet::Build(std::span<const Id> ids, int servers) {
  const size_t count = ids.size();
  const size_t room = std::bit_ceil(std::max<size_t>(64, 2 * count));
  if (slots_.size() < room) slots_.resize(room);
  std::fill_n(slots_.begin(), room, kFree);
  const size_t mask = room - 1;
  unique_.clear();
  unique_.reserve(count);
  local_.resize(count);
  uint32_t* const slots = slots_.data();
  for (size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) {
      __builtin_prefetch(slots + (RowIndex::Hash(static_cast<uint64_t>(ids[i + kAhead])) & mask));
    }
    if (ids[i] < 0) {
      local_[i] = -1;
      continue;
    }
    const auto id = static_cast<uint64_t>(ids[i]);
    size_t at = RowIndex::Hash(id) & mask;
    while (slots[at] != kFree && unique_[slots[at]] != id) at = (at + 1) & mask;
    if (slots[at] == kFree) {
      slots[at] = static_cast<uint32_t>(unique_.size());
      unique_.push_back(id);
    }
    local_[i] = static_cast<int32_t>(slots[at]);
  }
  GroupByServer(servers);
}

void KeySet::GroupByServer(int servers) {
  begins_.assign(static_cast<size_t>(servers) + 1, 0);
  if (servers == 1) {
    begins_[1] = size();
    return;
  }
  places_.resize(unique_.size());
  for (size_t u = 0; u < unique_.size(); ++u) {
    places_[u] = ServerOfRow(unique_[u], servers);
    ++begins_[places_[u] + 1];
  }
  for (int s = 0; s < servers; ++s) begins_[s + 1] += begins_[s];
  grouped_.resize(unique_.size());
  std::vector<int64_t>& next = begins_;  // moved on by one server, and back below
  for (size_t u = 0; u < unique_.size(); ++u) {
    const int server = places_[u];
    places_[u] = static_cast<int32_t>(next[server]++);
    grouped_[places_[u]] = unique_[u];
  }
  for (int s = servers; s > 0; --s) begins_[s] = begins_[s - 1];
  begins_[0] = 0;
  unique_.swap(grouped_);
  for (int32_t& l : local_) {
    if (l >= 0) l = places_[l];
  }
}

template void KeySet::Build(std::span<const int32_t>, int);
template void KeySet::Build(std::span<const int64_t>, int);

}  // namespace tributary::ps

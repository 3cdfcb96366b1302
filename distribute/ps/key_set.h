#pragma once
// The ids of a batch told apart: each once, those of a server side by side, and for every
// id of the batch the place of its row in that order. So the rows of a server travel to
// and from one piece of memory.
//
//   ids      7 9 7 -1 4        (negative: none)
//   unique   9 | 7 4           server 0: 9; server 1: 7 and 4
//   local    1 0 1 -1 2
//
// Ids of a server keep the order of their first appearance. Memory is used again; one
// thread.

#include <cstdint>
#include <span>
#include <vector>

namespace tributary::ps {

class KeySet {
 public:
  // `ids` of int32 or int64.
  template <typename Id>
  void Build(std::span<const Id> ids, int servers);

  // Different ids, of all servers.
  int64_t size() const { return static_cast<int64_t>(unique_.size()); }
  int servers() const { return static_cast<int>(begins_.size()) - 1; }
  std::span<const uint64_t> unique() const { return unique_; }
  // Those of `server`, the first of which is number begin(server).
  std::span<const uint64_t> unique(int server) const {
    return std::span(unique_).subspan(begins_[server], begins_[server + 1] - begins_[server]);
  }
  int64_t begin(int server) const { return begins_[server]; }
  // One for each id of the batch.
  std::span<const int32_t> local() const { return local_; }

 private:
  void GroupByServer(int servers);

  std::vector<uint64_t> unique_, grouped_;
  std::vector<int32_t> local_;
  std::vector<int64_t> begins_ = {0};
  std::vector<uint32_t> slots_;  // hash table: number of an id in unique_
  std::vector<int32_t> places_;  // of unique_ in grouped_
};

// sums[local[i]] += grads[i], rows of `width`; local < 0 is left out. `sums` has room
// for `rows` rows and is overwritten. Rows are added in the order of the batch.
void CombineRows(std::span<const int32_t> local, const float* grads, int64_t width, int64_t rows,
                 float* sums);

}  // namespace tributary::ps

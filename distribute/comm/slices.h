#pragma once
// Who owns what of a flat buffer that several ranks share.

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tributary {

struct Slice {
  int64_t begin = 0;
  int64_t count = 0;
  int64_t end() const { return begin + count; }
  bool operator==(const Slice&) const = default;
};

// Slice `rank` of `count` elements cut for `size` ranks. Slices cover the buffer
// in rank order; each begins at a multiple of 64 bytes, so that no cache line has
// two writers; the last ones may be empty.
inline Slice SliceOf(int64_t count, size_t element_bytes, int size, int rank) {
  const int64_t line = std::max<int64_t>(1, 64 / static_cast<int64_t>(element_bytes));
  const int64_t lines = (count + line - 1) / line;
  const int64_t share = lines / size, rest = lines % size;
  const auto first_line = [&](int64_t r) { return r * share + std::min(r, rest); };
  const int64_t begin = std::min(count, first_line(rank) * line);
  const int64_t end = std::min(count, first_line(rank + 1) * line);
  return {begin, end - begin};
}

}  // namespace tributary

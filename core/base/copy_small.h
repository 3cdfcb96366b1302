#pragma once
// memcpy of a few bytes without a call, where the number is known at run time only: rows
// of tables, of which there are many.

#include <cstddef>
#include <cstring>

namespace tributary {

namespace internal {
// The two ends, which overlap.
template <size_t kBytes>
inline void CopyEnds(char* to, const char* from, size_t bytes) {
  std::memcpy(to, from, kBytes);
  std::memcpy(to + bytes - kBytes, from + bytes - kBytes, kBytes);
}
}  // namespace internal

// The ranges do not overlap.
inline void CopySmall(void* target, const void* source, size_t bytes) {
  auto* to = static_cast<char*>(target);
  const auto* from = static_cast<const char*>(source);
  if (bytes > 128 || bytes < 4) {
    if (bytes > 0) std::memcpy(to, from, bytes);
  } else if (bytes > 64) {
    internal::CopyEnds<64>(to, from, bytes);
  } else if (bytes > 32) {
    internal::CopyEnds<32>(to, from, bytes);
  } else if (bytes >= 16) {
    internal::CopyEnds<16>(to, from, bytes);
  } else if (bytes >= 8) {
    internal::CopyEnds<8>(to, from, bytes);
  } else {
    internal::CopyEnds<4>(to, from, bytes);
  }
}

}  // namespace tributary

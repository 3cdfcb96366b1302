#include "distribute/ps/memory_map.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "core/base/errors.h"

namespace tributary::ps {
namespace {

constexpr size_t kHugePage = 2 << 20;

size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

MemoryMap MemoryMap::Reserve(size_t bytes) {
  MemoryMap map;
  if (bytes == 0) return map;
  bytes = RoundUp(bytes, bytes < kHugePage ? 4096 : kHugePage);
  // One huge page more, to begin at the boundary of one.
  const size_t slack = bytes < kHugePage ? 0 : kHugePage;
  void* raw = ::mmap(nullptr, bytes + slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                     -1, 0);
  if (raw == MAP_FAILED) {
    throw ResourceExhaustedError("[ps] can't reserve {} bytes of addresses: {}", bytes,
                                 strerror(errno));
  }
  auto* begin = static_cast<char*>(raw);
  auto* aligned = reinterpret_cast<char*>(
      slack ? RoundUp(reinterpret_cast<size_t>(begin), slack) : reinterpret_cast<size_t>(begin));
  if (aligned > begin) ::munmap(begin, aligned - begin);
  if (const size_t rest = begin + slack - aligned; rest > 0) ::munmap(aligned + bytes, rest);
  if (slack) ::madvise(aligned, bytes, MADV_HUGEPAGE);
  map.data_ = aligned;
  map.size_ = bytes;
  return map;
}

MemoryMap::MemoryMap(size_t bytes) {
  MemoryMap map = Reserve(bytes);
  map.Commit(map.size());
  Swap(map);
}

void MemoryMap::Commit(size_t bytes) {
  if (bytes <= committed_) return;
  if (bytes > size_) {
    throw ResourceExhaustedError("[ps] {} bytes exceed the {} that were reserved", bytes, size_);
  }
  const size_t up_to = std::min(size_, RoundUp(bytes, size_ < kHugePage ? 4096 : kHugePage));
  if (::mprotect(static_cast<char*>(data_) + committed_, up_to - committed_,
                 PROT_READ | PROT_WRITE) != 0) {
    throw ResourceExhaustedError("[ps] can't get {} bytes of memory: {}; lower max_bytes or use "
                                 "more servers", up_to - committed_, strerror(errno));
  }
  committed_ = up_to;
}

MemoryMap::~MemoryMap() {
  if (data_) ::munmap(data_, size_);
}

}  // namespace tributary::ps

#pragma once
// Zeroed memory straight from the system, in huge pages where it may: random access
// over gigabytes of rows would spend half its time on page tables otherwise.

#include <cstddef>
#include <utility>

namespace tributary::ps {

// `bytes` are reserved as addresses; memory is used up only once it is touched, and
// counted against the system's limit only up to Commit().
class MemoryMap {
 public:
  MemoryMap() = default;
  // All committed. Throws ResourceExhaustedError.
  explicit MemoryMap(size_t bytes);
  // Nothing committed.
  static MemoryMap Reserve(size_t bytes);
  MemoryMap(MemoryMap&& other) noexcept { Swap(other); }
  MemoryMap& operator=(MemoryMap&& other) noexcept {
    Swap(other);
    return *this;
  }
  ~MemoryMap();

  // The first `bytes` may be used. Throws ResourceExhaustedError.
  void Commit(size_t bytes);

  void* data() const { return data_; }
  size_t size() const { return size_; }
  size_t committed() const { return committed_; }

 private:
  void Swap(MemoryMap& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(committed_, other.committed_);
  }
  void* data_ = nullptr;
  size_t size_ = 0, committed_ = 0;
};

}  // namespace tributary::ps

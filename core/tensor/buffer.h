#pragma once
// Memory of tensors. A Buffer is reference counted and frees its memory through
// the Allocator that made it; tensors are views into it.

#include <cstddef>
#include <memory>
#include <string>

#include "core/tensor/dtype.h"

namespace tributary {

// Source of memory. Implementations are safe from any thread and outlive every
// buffer that they hand out.
class Allocator {
 public:
  virtual ~Allocator() = default;
  virtual std::string name() const = 0;
  // At least `bytes` (0 is legal), aligned to 64. Throws
  // ResourceExhaustedError.
  virtual void* Allocate(size_t bytes) = 0;
  virtual void Deallocate(void* pointer, size_t bytes) noexcept = 0;
};

// Host memory from the C++ heap. Counts what is live.
Allocator* CpuAllocator();
// Bytes that CpuAllocator has handed out and not got back, and the peak.
size_t CpuBytesInUse();
size_t CpuPeakBytes();

class Buffer {
 public:
  virtual ~Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

  // Uninitialised memory.
  static std::shared_ptr<Buffer> Allocate(size_t bytes, Allocator* allocator = CpuAllocator());
  // `count` default-constructed strings.
  static std::shared_ptr<Buffer> Strings(size_t count);
  // Memory owned by someone else; `keep_alive` is held as long as the buffer.
  static std::shared_ptr<Buffer> Wrap(void* data, size_t bytes,
                                      std::shared_ptr<void> keep_alive = nullptr);

 protected:
  Buffer(void* data, size_t bytes) : data_(data), bytes_(bytes) {}
  void* data_;
  size_t bytes_;
};

}  // namespace tributary

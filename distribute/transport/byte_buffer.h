#pragma once
// Memory for the bytes of one message after the other: aligned to 64 bytes, not
// initialised, grown but not given back, so that a steady flow allocates nothing.

#include <cstddef>
#include <memory>
#include <new>
#include <span>

namespace tributary {

class ByteBuffer {
 public:
  static constexpr size_t kAlignment = 64;
  // What is larger is given back by Recycle.
  static constexpr size_t kKeptBytes = 256u << 20;

  // Room for `size` bytes; the former contents are lost. Throws std::bad_alloc.
  std::span<std::byte> Resize(size_t size) {
    if (size > capacity_) {
      const size_t wanted = size + size / 4 + kAlignment;
      memory_.reset();
      capacity_ = 0;
      memory_.reset(static_cast<std::byte*>(
          ::operator new(wanted, std::align_val_t{kAlignment})));
      capacity_ = wanted;
    }
    size_ = size;
    return bytes();
  }
  void Recycle() {
    size_ = 0;
    if (capacity_ <= kKeptBytes) return;
    memory_.reset();
    capacity_ = 0;
  }
  std::span<std::byte> bytes() { return {memory_.get(), size_}; }
  std::span<const std::byte> bytes() const { return {memory_.get(), size_}; }
  size_t capacity() const { return capacity_; }

 private:
  struct Delete {
    void operator()(std::byte* p) const { ::operator delete(p, std::align_val_t{kAlignment}); }
  };

  std::unique_ptr<std::byte, Delete> memory_;
  size_t capacity_ = 0, size_ = 0;
};

}  // namespace tributary

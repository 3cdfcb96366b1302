#include "core/tensor/buffer.h"

#include <sys/mman.h>

#include <new>

namespace tributary {
namespace {

// Large memory is asked for in huge pages: random rows of a data set or of a table would miss
// the machine's table of pages at every row. Nothing is rounded up for it.
constexpr size_t kHugePage = 2 << 20;

std::align_val_t AlignmentOf(size_t bytes) {
  return std::align_val_t{bytes >= 2 * kHugePage ? kHugePage : 64};
}

class HeapAllocator : public Allocator {
 public:
  std::string name() const override { return "cpu"; }

  void* Allocate(size_t bytes) override {
    void* pointer =
        ::operator new(std::max<size_t>(bytes, 1), AlignmentOf(bytes), std::nothrow);
    if (!pointer) {
      throw ResourceExhaustedError("[cpu] out of memory allocating {} bytes ({} in use); "
                                   "try a smaller batch",
                                   bytes, in_use_.load());
    }
    if (bytes >= 2 * kHugePage) ::madvise(pointer, bytes, MADV_HUGEPAGE);  // or as it was
    const size_t now = in_use_ += bytes;
    size_t peak = peak_.load();
    while (now > peak && !peak_.compare_exchange_weak(peak, now)) {
    }
    return pointer;
  }

  void Deallocate(void* pointer, size_t bytes) noexcept override {
    in_use_ -= bytes;
    ::operator delete(pointer, AlignmentOf(bytes));
  }

  std::atomic<size_t> in_use_{0};
  std::atomic<size_t> peak_{0};
};

// Never destroyed: buffers in static storage may outlive any order of ours.
HeapAllocator* Heap() {
  static auto* heap = new HeapAllocator;
  return heap;
}

class AllocatedBuffer final : public Buffer {
 public:
  AllocatedBuffer(size_t bytes, Allocator* allocator)
      : Buffer(allocator->Allocate(bytes), bytes), allocator_(allocator) {}
  ~AllocatedBuffer() override { allocator_->Deallocate(data_, bytes_); }

 private:
  Allocator* allocator_;
};

class StringBuffer final : public Buffer {
 public:
  explicit StringBuffer(size_t count) : Buffer(nullptr, 0), strings_(count) {
    data_ = strings_.data();
    bytes_ = count * sizeof(std::string);
  }

 private:
  std::vector<std::string> strings_;
};

class WrappedBuffer final : public Buffer {
 public:
  WrappedBuffer(void* data, size_t bytes, std::shared_ptr<void> keep_alive)
      : Buffer(data, bytes), keep_alive_(std::move(keep_alive)) {}

 private:
  std::shared_ptr<void> keep_alive_;
};

}  // namespace

Allocator* CpuAllocator() { return Heap(); }
size_t CpuBytesInUse() { return Heap()->in_use_; }
size_t CpuPeakBytes() { return Heap()->peak_; }

std::shared_ptr<Buffer> Buffer::Allocate(size_t bytes, Allocator* allocator) {
  return std::make_shared<AllocatedBuffer>(bytes, allocator);
}

std::shared_ptr<Buffer> Buffer::Strings(size_t count) {
  return std::make_shared<StringBuffer>(count);
}

std::shared_ptr<Buffer> Buffer::Wrap(void* data, size_t bytes,
                                     std::shared_ptr<void> keep_alive) {
  return std::make_shared<WrappedBuffer>(data, bytes, std::move(keep_alive));
}

}  // namespace tributary

#include "tests/distribute/allocations.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

namespace {

std::atomic<int64_t> allocations{0};

void* Counted(size_t bytes, size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (bytes == 0) bytes = 1;
  return alignment <= alignof(std::max_align_t)
             ? std::malloc(bytes)
             : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

void* CountedOrThrow(size_t bytes, size_t alignment) {
  if (void* pointer = Counted(bytes, alignment)) return pointer;
  throw std::bad_alloc();
}

}  // namespace

// GCC takes the pair of our own new and delete for a mismatch.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

void* operator new(size_t n) { return CountedOrThrow(n, 1); }
void* operator new[](size_t n) { return CountedOrThrow(n, 1); }
void* operator new(size_t n, const std::nothrow_t&) noexcept { return Counted(n, 1); }
void* operator new[](size_t n, const std::nothrow_t&) noexcept { return Counted(n, 1); }
void* operator new(size_t n, std::align_val_t a) {
  return CountedOrThrow(n, static_cast<size_t>(a));
}
void* operator new[](size_t n, std::align_val_t a) {
  return CountedOrThrow(n, static_cast<size_t>(a));
}
void* operator new(size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return Counted(n, static_cast<size_t>(a));
}
void* operator new[](size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return Counted(n, static_cast<size_t>(a));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(p);
}
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(p);
}

namespace tributary {

int64_t HeapAllocations() { return allocations.load(std::memory_order_relaxed); }

namespace {

TEST(Allocations, AreCounted) {
  const int64_t before = HeapAllocations();
  auto number = std::make_unique<int>(1);
  EXPECT_EQ(HeapAllocations(), before + 1);
  std::vector<std::string> strings(3, std::string(100, 'x'));
  EXPECT_GE(HeapAllocations(), before + 5);
}

}  // namespace
}  // namespace tributary

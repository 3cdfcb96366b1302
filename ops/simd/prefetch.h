#pragma once
// Hints to the caches. They never fault and change no value.

namespace tributary::simd {

// The line of `address` will be written: it comes in already owned. Where several
// processes share memory a line that others have read must be taken from them before
// it can be written, which a plain read ahead does not do.
inline void PrefetchForWrite(const void* address) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#else
  __builtin_prefetch(address, 1);
#endif
}

}  // namespace tributary::simd

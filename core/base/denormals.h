#pragma once
// Numbers too small to be normal (below 1e-38) cost hundreds of cycles an operation
// and mean nothing to training: softmax tails and dying gradients would slow a step
// down twentyfold. TensorFlow's executors flush them to zero too
// (tensorflow/core/platform/denormal.h).

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace tributary {

// On this thread, for good.
inline void FlushDenormals() {
#if defined(__SSE__)
  _mm_setcsr(_mm_getcsr() | 0x8040u);  // flush to zero, denormals are zero
#endif
}

// On this thread, as long as it lives.
class ScopedFlushDenormals {
 public:
#if defined(__SSE__)
  ScopedFlushDenormals() : before_(_mm_getcsr()) { FlushDenormals(); }
  ~ScopedFlushDenormals() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#else
  ScopedFlushDenormals() {}
#endif
  ScopedFlushDenormals(const ScopedFlushDenormals&) = delete;
};

}  // namespace tributary

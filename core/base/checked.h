#pragma once
// Size arithmetic on numbers that come from outside: a wrap is an error, never
// a small allocation.

#include <cstdint>

#include "core/base/errors.h"

namespace tributary {

// a * b. Throws InvalidArgumentError on overflow; `what` names the quantity.
inline int64_t CheckedMul(int64_t a, int64_t b, const char* what = "size") {
  int64_t result;
  if (__builtin_mul_overflow(a, b, &result)) {
    throw InvalidArgumentError("[{}] {} * {} overflows 64 bits", what, a, b);
  }
  return result;
}

// a + b. Throws InvalidArgumentError on overflow.
inline int64_t CheckedAdd(int64_t a, int64_t b, const char* what = "size") {
  int64_t result;
  if (__builtin_add_overflow(a, b, &result)) {
    throw InvalidArgumentError("[{}] {} + {} overflows 64 bits", what, a, b);
  }
  return result;
}

}  // namespace tributary

#pragma once
// Element i of streams of random numbers, each a function of (seed, i) alone: initial
// values of weights, the same whether a whole table is made at once or a row when it is
// first used.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "core/base/philox.h"

namespace tributary {

// Box and Muller, as tensorflow/core/lib/random/random_distributions.h.
inline double NormalFrom(uint32_t a, uint32_t b) {
  const double u = std::max<double>(UniformFloat(a), 1e-7);
  return std::sin(2 * std::numbers::pi * UniformFloat(b)) * std::sqrt(-2 * std::log(u));
}

// In [0, 1).
inline double UniformAt(uint64_t seed, uint64_t i) {
  return UniformFloat(PhiloxAt(seed, 0, i / 4)[i % 4]);
}

inline double NormalAt(uint64_t seed, uint64_t i) {
  const PhiloxBlock block = PhiloxAt(seed, 1, i / 2);
  return NormalFrom(block[2 * (i % 2)], block[2 * (i % 2) + 1]);
}

// Drawn again until within two deviations.
inline double TruncatedNormalAt(uint64_t seed, uint64_t i) {
  for (uint64_t attempt = 0;; ++attempt) {
    const PhiloxBlock block = PhiloxAt(seed, 2 + attempt, i);
    for (const int lane : {0, 2}) {
      const double x = NormalFrom(block[lane], block[lane + 1]);
      if (std::abs(x) < 2) return x;
    }
  }
}

}  // namespace tributary

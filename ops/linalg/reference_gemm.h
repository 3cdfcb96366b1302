#pragma once
// The plain triple loop: double precision, and what tests compare against.

#include <cstdint>

namespace tributary {

// c[m, n] = a x b, row-major, either operand stored transposed. Sums in the order
// of k.
template <typename T>
void ReferenceGemm(int64_t m, int64_t n, int64_t k, const T* a, bool transpose_a, const T* b,
                   bool transpose_b, T* c) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      T sum{};
      for (int64_t l = 0; l < k; ++l) {
        sum += (transpose_a ? a[l * m + i] : a[i * k + l]) *
               (transpose_b ? b[j * k + l] : b[l * n + j]);
      }
      c[i * n + j] = sum;
    }
  }
}

}  // namespace tributary

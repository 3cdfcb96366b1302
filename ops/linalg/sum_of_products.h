#pragma once
// The sum of matrix products whose factors lie in several places, such as the gradient of a
// weight from several replicas' activations: a range of its elements at a time.

#include <cstdint>
#include <span>

namespace tributary {

// transpose(a[rows, m]) x b[rows, n], row-major.
struct Factors {
  const float* a = nullptr;
  const float* b = nullptr;
  int64_t rows = 0;
};

// Elements [begin, end) of the sum of all products, [m, n] row-major, into c[0, end - begin).
// They have the bits of adding up, in this order, what Gemm's tiles make of each product.
// Factors may lie in memory that other processes write at other times: they are fetched ahead.
void SumOfProducts(std::span<const Factors> factors, int64_t m, int64_t n, int64_t begin,
                   int64_t end, float* c);

}  // namespace tributary

#pragma once
// Layer normalisation of the rows of a [rows, columns] matrix.

#include <cstddef>
#include <cstdint>

namespace tributary {

// y = (x - mean) * inverse * gamma + beta, with the row's mean and the inverse of its
// deviation, 1 / sqrt(variance + epsilon).
void LayerNormRows(const float* x, const float* gamma, const float* beta, float epsilon,
                   float* y, float* mean, float* inverse, int64_t rows, int64_t columns);

// Gradients of x, gamma and beta. Scratch: LayerNormGradScratch bytes.
size_t LayerNormGradScratch(int64_t rows, int64_t columns);
void LayerNormGradRows(const float* dy, const float* x, const float* gamma, const float* mean,
                       const float* inverse, float* dx, float* dgamma, float* dbeta,
                       int64_t rows, int64_t columns, void* scratch);

}  // namespace tributary

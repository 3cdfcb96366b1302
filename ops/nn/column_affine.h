#pragma once
// Row-major matrices scaled and shifted by column: bias, batch normalisation.

#include <cstdint>

namespace tributary {

// out[i, j] = x[i, j] * a[j] + y[i, j] * b[j] + c[j]. a null: 1; y (and b) null: 0.
// With `relu` (only without a and y) negative results become 0.
// Parallel over rows; `out` may be x or y.
void ColumnAffine(const float* x, const float* a, const float* y, const float* b,
                  const float* c, float* out, int64_t rows, int64_t columns, bool relu = false);

}  // namespace tributary

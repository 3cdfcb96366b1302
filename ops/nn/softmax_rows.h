#pragma once
// Softmax and cross-entropy over the rows of [rows, columns] matrices. Parallel over
// rows. `out` may be `x`.

#include <cstdint>

namespace tributary {

void SoftmaxRows(const float* x, float* out, int64_t rows, int64_t columns);
void LogSoftmaxRows(const float* x, float* out, int64_t rows, int64_t columns);

// loss[i] = -sum of labels[i, j] * logsoftmax(x)[i, j];
// gradient[i, j] = scale * (softmax(x)[i, j] - labels[i, j]).
void CrossEntropyRows(const float* x, const float* labels, float* loss, float* gradient,
                      int64_t rows, int64_t columns, float scale = 1.0f);
// The same where row i has 1 at labels[i], in [0, columns), and 0 elsewhere.
template <typename Label>
void SparseCrossEntropyRows(const float* x, const Label* labels, float* loss, float* gradient,
                            int64_t rows, int64_t columns, float scale = 1.0f);

}  // namespace tributary

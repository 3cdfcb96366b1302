#pragma once
// Sums down the columns of a [rows, columns] matrix: bias gradients, batch statistics.
//
// Rows are summed in chunks of a fixed size and the chunks in order, so the bits do
// not depend on the number of threads.

#include <cstdint>
#include <cstddef>

namespace tributary {

// out[j] = sum of x[i, j], on this thread.
void SumColumns(const float* x, int64_t rows, int64_t columns, float* out);

class ColumnSums {
 public:
  ColumnSums() = default;
  // `outputs`: 1, or 2 for Products.
  ColumnSums(int64_t rows, int64_t columns, int outputs = 1);
  size_t scratch_bytes() const;

  // out[j] = sum of x[i, j].
  void Sum(const float* x, float* out, void* scratch) const;
  // out[j] = sum of (x[i, j] - mean[j])^2.
  void Squares(const float* x, const float* mean, float* out, void* scratch) const;
  // sum[j] = sum of y[i, j]; product[j] = sum of y[i, j] * (x[i, j] - mean[j]).
  void Products(const float* y, const float* x, const float* mean, float* sum, float* product,
                void* scratch) const;

 private:
  template <typename Fn>
  void Run(float* out0, float* out1, void* scratch, const Fn& fn) const;
  int64_t rows_ = 0, columns_ = 0, chunk_ = 1, chunks_ = 0;
  int outputs_ = 1;
};

}  // namespace tributary

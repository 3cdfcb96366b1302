#pragma once
// RowGradient: a sparse gradient (values[i] at row indices[i]) with rows of equal index
// added up, ready for one update a row. Works in scratch memory of a plan.

#include <cstddef>
#include <cstdint>

#include "core/tensor/dtype.h"

namespace tributary {

class RowGradient {
 public:
  // `count` slices of `width` floats, of a table of `rows` rows. Throws
  // InvalidArgumentError for more slices than an int32 counts.
  RowGradient(int64_t count, int64_t width, int64_t rows);

  size_t scratch_bytes() const { return bytes_; }

  // Joins slices of one row, in their order; negative indices are left out. `scratch`
  // (aligned to 64) and `values` must outlive the use of the result. Throws
  // InvalidArgumentError naming `op` for an index beyond the table.
  void Combine(const char* op, const void* indices, DType dtype, const float* values,
               void* scratch);
  // Puts the rows in ascending order.
  void Sort();

  // Different rows; in the order of their first slice until sorted.
  int64_t size() const { return size_; }
  int64_t row(int64_t i) const { return unique_[i].row; }
  const float* sum(int64_t i) const { return unique_[i].sum; }

 private:
  struct Unique {
    int64_t row;
    const float* sum;  // in `values` for a single slice, else in sums_
    float* own;
  };
  template <typename Index>
  void Number(const char* op, const Index* indices, const float* values);
  void AddUp(const float* values);

  int64_t count_, width_, rows_;
  size_t slots_;  // of the hash table, a power of two
  size_t bytes_;
  int64_t size_ = 0;
  int64_t repeated_ = 0;
  int32_t* table_ = nullptr;   // hash slot -> number of the row, or -1
  int32_t* number_ = nullptr;  // slice -> number of its row, or -1
  Unique* unique_ = nullptr;
  float* sums_ = nullptr;
};

}  // namespace tributary

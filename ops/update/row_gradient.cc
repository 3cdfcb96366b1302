#include "ops/update/row_gradient.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/checked.h"
#include "core/base/errors.h"
#include "core/base/parallel.h"

namespace tributary {
namespace {

size_t Aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

// Fibonacci hashing: the upper bits of a product.
size_t HashOf(int64_t row, int shift) {
  return static_cast<size_t>((static_cast<uint64_t>(row) * 0x9e3779b97f4a7c15u) >> shift);
}

}  // namespace

RowGradient::RowGradient(int64_t count, int64_t width, int64_t rows)
    : count_(count), width_(width), rows_(rows) {
  if (count > (int64_t{1} << 30)) {
    throw InvalidArgumentError("[RowGradient] {} slices are too many", count);
  }
  slots_ = std::bit_ceil(static_cast<size_t>(std::max<int64_t>(count, 1)) * 2);
  const size_t floats = static_cast<size_t>(CheckedMul(count, width, "RowGradient"));
  bytes_ = Aligned(slots_ * sizeof(int32_t)) + Aligned(count * sizeof(int32_t)) +
           Aligned(count * sizeof(Unique)) + Aligned(floats * sizeof(float));
}

void RowGradient::Combine(const char* op, const void* indices, DType dtype, const float* values,
                          void* scratch) {
  char* at = static_cast<char*>(scratch);
  const auto take = [&at](size_t bytes) {
    char* start = at;
    at += Aligned(bytes);
    return start;
  };
  table_ = reinterpret_cast<int32_t*>(take(slots_ * sizeof(int32_t)));
  number_ = reinterpret_cast<int32_t*>(take(count_ * sizeof(int32_t)));
  unique_ = reinterpret_cast<Unique*>(take(count_ * sizeof(Unique)));
  sums_ = reinterpret_cast<float*>(take(count_ * width_ * sizeof(float)));
  std::memset(table_, 0xff, slots_ * sizeof(int32_t));
  size_ = repeated_ = 0;
  if (dtype == DType::kInt32) {
    Number(op, static_cast<const int32_t*>(indices), values);
  } else {
    Number(op, static_cast<const int64_t*>(indices), values);
  }
  if (repeated_ > 0) AddUp(values);
}

template <typename Index>
void RowGradient::Number(const char* op, const Index* indices, const float* values) {
  const int shift = 64 - std::countr_zero(slots_);
  for (int64_t i = 0; i < count_; ++i) {
    const int64_t row = indices[i];
    number_[i] = -1;
    if (row < 0) continue;
    if (row >= rows_) {
      throw InvalidArgumentError("[{}] index {} at {} is out of range; expected [0, {})", op, row,
                                 i, rows_);
    }
    size_t slot = HashOf(row, shift);
    while (table_[slot] >= 0 && unique_[table_[slot]].row != row) slot = (slot + 1) & (slots_ - 1);
    if (table_[slot] < 0) {
      table_[slot] = static_cast<int32_t>(size_);
      unique_[size_++] = {row, values + i * width_, nullptr};
    } else {
      Unique& known = unique_[table_[slot]];
      if (!known.own) known.own = sums_ + repeated_++ * width_;
    }
    number_[i] = table_[slot];
  }
}

// Each thread owns some of the rows and meets their slices in order: the bits do not
// depend on the number of threads.
void RowGradient::AddUp(const float* values) {
  const int64_t grain = 1 + size_ * (1 << 14) / (1 + count_ * (width_ + 2));
  ParallelFor(size_, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < count_; ++i) {
      if (number_[i] < begin || number_[i] >= end) continue;
      Unique& unique = unique_[number_[i]];
      if (!unique.own) continue;
      const float* from = values + i * width_;
      if (unique.sum == from) {
        std::memcpy(unique.own, from, width_ * sizeof(float));
      } else {
        for (int64_t k = 0; k < width_; ++k) unique.own[k] += from[k];
      }
    }
    for (int64_t u = begin; u < end; ++u) {
      if (unique_[u].own) unique_[u].sum = unique_[u].own;
    }
  });
}

void RowGradient::Sort() {
  std::sort(unique_, unique_ + size_,
            [](const Unique& a, const Unique& b) { return a.row < b.row; });
}

}  // namespace tributary

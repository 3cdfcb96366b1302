#pragma once
// A table is what every data source becomes: rows that can be read in any order,
// column by column. Shuffling, sharding and resuming are then arithmetic on row
// numbers, and a batch is one gather into memory that is used again.
//
// Columns and tables are immutable and safe from any thread.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace tributary::data {

using Element = std::vector<Tensor>;

class Column {
 public:
  explicit Column(TensorSpec spec) : spec_(std::move(spec)) {}
  virtual ~Column() = default;
  Column(const Column&) = delete;

  // Of one row: fully defined.
  const TensorSpec& spec() const { return spec_; }
  size_t row_bytes() const;

  // Writes the given rows one after the other at `out` (std::string objects for
  // string columns). Allocates nothing in the steady state. The caller has
  // checked the row numbers. May throw DataLossError.
  virtual void Gather(std::span<const int64_t> rows, void* out) const = 0;

 private:
  TensorSpec spec_;
};

using ColumnPtr = std::shared_ptr<const Column>;

struct Table {
  int64_t rows = 0;
  std::vector<ColumnPtr> columns;
  // What the columns are called, one each; empty when they are told apart by their
  // place alone.
  std::vector<std::string> names = {};
};
using TablePtr = std::shared_ptr<const Table>;

// Rows of a tensor (its axis 0), as they are. Throws InvalidArgumentError for
// scalars and undefined or symbolic tensors.
ColumnPtr TensorColumn(const Tensor& tensor);

// A uint8 tensor read as float32 in [0, 1]; kept as bytes, a quarter of the
// memory traffic.
ColumnPtr UnitScaledColumn(const Tensor& bytes);

// Row i is fn(i, out): for generated or computed rows.
ColumnPtr FunctionColumn(TensorSpec spec, std::function<void(int64_t row, void* out)> fn);

// Rows [begin, begin + count) of another column.
ColumnPtr OffsetColumn(ColumnPtr source, int64_t begin);

// The rows of `a` (there are `a_rows`), then those of `b`. Throws
// InvalidArgumentError when the specs differ.
ColumnPtr ConcatColumn(ColumnPtr a, int64_t a_rows, ColumnPtr b);

// All rows in one tensor of shape (rows, ...).
Tensor Materialize(const Column& column, int64_t rows);

// A table of tensors that agree in axis 0. Throws InvalidArgumentError.
TablePtr TableOf(const std::vector<Tensor>& tensors);
// Place of the column that is called so. Throws NotFoundError that names the nearest,
// FailedPreconditionError when the columns have no names.
int ColumnIndex(const Table& table, const std::string& name);
// Throws OutOfRangeError unless 0 <= begin <= end <= rows.
TablePtr SliceTable(const TablePtr& table, int64_t begin, int64_t end);
TablePtr ConcatTables(const TablePtr& a, const TablePtr& b);

}  // namespace tributary::data

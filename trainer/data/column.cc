#include "trainer/data/column.h"

#include <array>
#include <cstring>

#include "core/base/checked.h"
#include "core/base/copy_small.h"
#include "core/base/strings.h"
#include "trainer/data/gather.h"

namespace tributary::data {
namespace {

TensorSpec RowSpec(const Tensor& tensor, DType dtype) {
  if (!tensor.defined() || tensor.IsSymbolic()) {
    throw InvalidArgumentError("[data] a column needs a tensor with a value");
  }
  if (tensor.rank() < 1) {
    throw InvalidArgumentError("[data] a column needs a tensor of rank 1 or more, got a scalar");
  }
  const auto& dims = tensor.shape().dims();
  return {dtype, Shape(std::vector<int64_t>(dims.begin() + 1, dims.end()))};
}

// Rows are far apart: the start of each is asked for while the one two before it
// is copied, and the hardware does the rest.
constexpr size_t kAhead = 2;
constexpr int64_t kPrefetchBytes = 1024;

inline void PrefetchRow(std::span<const int64_t> rows, size_t i, const char* base,
                        int64_t bytes) {
  if (i >= rows.size()) return;
  const char* row = base + rows[i] * bytes;
  for (int64_t b = 0; b < std::min(bytes, kPrefetchBytes); b += 64) __builtin_prefetch(row + b);
}

class PlainColumn final : public Column {
 public:
  explicit PlainColumn(const Tensor& tensor)
      : Column(RowSpec(tensor, tensor.dtype())),
        tensor_(tensor),
        base_(static_cast<const char*>(tensor.raw_data())),
        bytes_(row_bytes()) {}

  void Gather(std::span<const int64_t> rows, void* out) const override {
    char* to = static_cast<char*>(out);
    for (size_t i = 0; i < rows.size(); ++i, to += bytes_) {
      PrefetchRow(rows, i + kAhead, base_, bytes_);
      CopySmall(to, base_ + rows[i] * bytes_, static_cast<size_t>(bytes_));
    }
  }

 private:
  Tensor tensor_;
  const char* base_;
  int64_t bytes_;
};

class StringColumn final : public Column {
 public:
  explicit StringColumn(const Tensor& tensor)
      : Column(RowSpec(tensor, DType::kString)),
        tensor_(tensor),
        per_row_(spec().shape.NumElements()) {}

  void Gather(std::span<const int64_t> rows, void* out) const override {
    const std::string* from = tensor_.data<std::string>();
    auto* to = static_cast<std::string*>(out);
    for (int64_t row : rows) to = std::copy_n(from + row * per_row_, per_row_, to);
  }

 private:
  Tensor tensor_;
  int64_t per_row_;
};

class UnitColumn final : public Column {
 public:
  explicit UnitColumn(const Tensor& tensor)
      : Column(RowSpec(tensor, DType::kFloat32)),
        tensor_(tensor),
        base_(tensor.data<uint8_t>()),
        per_row_(spec().shape.NumElements()) {}

  void Gather(std::span<const int64_t> rows, void* out) const override {
    float* to = static_cast<float*>(out);
    for (size_t i = 0; i < rows.size(); ++i, to += per_row_) {
      PrefetchRow(rows, i + kAhead, reinterpret_cast<const char*>(base_), per_row_);
      BytesToUnit(base_ + rows[i] * per_row_, to, per_row_);
    }
  }

 private:
  Tensor tensor_;
  const uint8_t* base_;
  int64_t per_row_;
};

class ComputedColumn final : public Column {
 public:
  ComputedColumn(TensorSpec spec, std::function<void(int64_t, void*)> fn)
      : Column(std::move(spec)), fn_(std::move(fn)) {}

  void Gather(std::span<const int64_t> rows, void* out) const override {
    char* to = static_cast<char*>(out);
    for (int64_t row : rows) {
      fn_(row, to);
      to += row_bytes();
    }
  }

 private:
  std::function<void(int64_t, void*)> fn_;
};

class ShiftedColumn final : public Column {
 public:
  ShiftedColumn(ColumnPtr source, int64_t begin)
      : Column(source->spec()), source_(std::move(source)), begin_(begin) {}

  void Gather(std::span<const int64_t> rows, void* out) const override {
    std::array<int64_t, 64> shifted;
    char* to = static_cast<char*>(out);
    while (!rows.empty()) {
      const size_t count = std::min(rows.size(), shifted.size());
      for (size_t i = 0; i < count; ++i) shifted[i] = rows[i] + begin_;
      source_->Gather({shifted.data(), count}, to);
      to += count * row_bytes();
      rows = rows.subspan(count);
    }
  }

 private:
  ColumnPtr source_;
  int64_t begin_;
};

class JoinedColumn final : public Column {
 public:
  JoinedColumn(ColumnPtr a, int64_t a_rows, ColumnPtr b)
      : Column(a->spec()), a_(std::move(a)), b_(std::move(b)), a_rows_(a_rows) {}

  void Gather(std::span<const int64_t> rows, void* out) const override {
    char* to = static_cast<char*>(out);
    for (int64_t row : rows) {
      const bool first = row < a_rows_;
      const int64_t local = first ? row : row - a_rows_;
      (first ? a_ : b_)->Gather({&local, 1}, to);
      to += row_bytes();
    }
  }

 private:
  ColumnPtr a_, b_;
  int64_t a_rows_;
};

}  // namespace

size_t Column::row_bytes() const {
  return static_cast<size_t>(spec_.shape.NumElements()) * DTypeSize(spec_.dtype);
}

ColumnPtr TensorColumn(const Tensor& tensor) {
  if (tensor.defined() && tensor.dtype() == DType::kString) {
    return std::make_shared<StringColumn>(tensor);
  }
  if (tensor.defined() && !IsPlain(tensor.dtype())) {
    throw InvalidArgumentError("[data] a column can't hold {}", DTypeName(tensor.dtype()));
  }
  return std::make_shared<PlainColumn>(tensor);
}

ColumnPtr UnitScaledColumn(const Tensor& bytes) {
  return std::make_shared<UnitColumn>(bytes);
}

ColumnPtr FunctionColumn(TensorSpec spec, std::function<void(int64_t, void*)> fn) {
  return std::make_shared<ComputedColumn>(std::move(spec), std::move(fn));
}

ColumnPtr OffsetColumn(ColumnPtr source, int64_t begin) {
  if (begin == 0) return source;
  return std::make_shared<ShiftedColumn>(std::move(source), begin);
}

ColumnPtr ConcatColumn(ColumnPtr a, int64_t a_rows, ColumnPtr b) {
  if (!(a->spec() == b->spec())) {
    throw InvalidArgumentError("[data] can't join rows of {} and {}", a->spec().ToString(),
                               b->spec().ToString());
  }
  return std::make_shared<JoinedColumn>(std::move(a), a_rows, std::move(b));
}

Tensor Materialize(const Column& column, int64_t rows) {
  std::vector<int64_t> dims = {rows};
  const auto& tail = column.spec().shape.dims();
  dims.insert(dims.end(), tail.begin(), tail.end());
  CheckedMul(rows, static_cast<int64_t>(column.row_bytes()), "data");
  Tensor all = Tensor::Empty(column.spec().dtype, Shape(dims));
  std::vector<int64_t> numbers(rows);
  for (int64_t i = 0; i < rows; ++i) numbers[i] = i;
  column.Gather(numbers, all.raw_data());
  return all;
}

TablePtr TableOf(const std::vector<Tensor>& tensors) {
  auto table = std::make_shared<Table>();
  for (const Tensor& tensor : tensors) {
    table->columns.push_back(TensorColumn(tensor));
    if (table->columns.size() == 1) table->rows = tensor.dim(0);
    if (tensor.dim(0) != table->rows) {
      throw InvalidArgumentError("[data] tensors of one dataset differ in axis 0: {} and {}",
                                 tensors[0].shape().ToString(), tensor.shape().ToString());
    }
  }
  return table;
}

int ColumnIndex(const Table& table, const std::string& name) {
  if (table.names.empty()) {
    throw FailedPreconditionError("[data] there is no column '{}': the columns of this source "
                                  "have no names", name);
  }
  for (size_t i = 0; i < table.names.size(); ++i) {
    if (table.names[i] == name) return static_cast<int>(i);
  }
  throw NotFoundError("[data] there is no column '{}'{} (columns: {})", name,
                      DidYouMean(name, table.names), Join(table.names, ", "));
}

TablePtr SliceTable(const TablePtr& table, int64_t begin, int64_t end) {
  if (begin < 0 || end < begin || end > table->rows) {
    throw OutOfRangeError("[data] rows [{}, {}) of a table with {} rows", begin, end,
                          table->rows);
  }
  auto slice = std::make_shared<Table>();
  slice->rows = end - begin;
  slice->names = table->names;
  for (const ColumnPtr& column : table->columns) {
    slice->columns.push_back(OffsetColumn(column, begin));
  }
  return slice;
}

TablePtr ConcatTables(const TablePtr& a, const TablePtr& b) {
  if (a->columns.size() != b->columns.size()) {
    throw InvalidArgumentError("[data] can't join tables of {} and {} columns",
                               a->columns.size(), b->columns.size());
  }
  if (a->names != b->names) {
    throw InvalidArgumentError("[data] can't join tables whose columns are called {} and {}",
                               Join(a->names, ", "), Join(b->names, ", "));
  }
  auto joined = std::make_shared<Table>();
  joined->names = a->names;
  joined->rows = CheckedAdd(a->rows, b->rows, "data");
  for (size_t i = 0; i < a->columns.size(); ++i) {
    joined->columns.push_back(ConcatColumn(a->columns[i], a->rows, b->columns[i]));
  }
  return joined;
}

}  // namespace tributary::data

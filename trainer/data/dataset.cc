#include "trainer/data/dataset.h"

#include "core/base/checked.h"
#include "core/base/strings.h"
#include "trainer/data/transform.h"

namespace tributary::data {

Dataset Dataset::FromTensorSlices(const std::vector<Tensor>& tensors) {
  std::vector<std::string> shapes;
  for (const Tensor& tensor : tensors) shapes.push_back(tensor.spec().ToString());
  return FromTable(TableOf(tensors), "tensors " + Join(shapes, ", "));
}

Dataset Dataset::FromTable(TablePtr table, std::string description) {
  if (!table || table->columns.empty()) {
    throw InvalidArgumentError("[data] a dataset needs at least one tensor");
  }
  Dataset dataset;
  dataset.cardinality_ = table->rows;
  dataset.table_ = std::move(table);
  dataset.description_ = std::move(description);
  return dataset;
}

std::vector<TensorSpec> Dataset::element_spec() const {
  std::vector<TensorSpec> specs;
  for (const ColumnPtr& column : table_->columns) {
    TensorSpec spec = column->spec();
    if (batch_ > 0) {
      const bool fixed = drop_remainder_ && batch_ % parts_ == 0;
      std::vector<int64_t> dims = {fixed ? batch_ / parts_ : Shape::kUnknownDim};
      dims.insert(dims.end(), spec.shape.dims().begin(), spec.shape.dims().end());
      spec.shape = Shape(dims);
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

int Dataset::ColumnIndex(int column) const {
  const int count = static_cast<int>(table_->columns.size());
  if (column < -count || column >= count) {
    throw InvalidArgumentError("[data] column {} of an element of {} tensors", column, count);
  }
  return column < 0 ? column + count : column;
}

Dataset Dataset::Map(int column, const ColumnTransform& transform) const {
  const int index = ColumnIndex(column);
  Dataset result = *this;
  auto table = std::make_shared<Table>(*table_);
  table->columns[index] = transform.Apply(table->columns[index]);
  result.table_ = table;
  return result;
}

Dataset Dataset::Select(const std::vector<int>& columns) const {
  auto table = std::make_shared<Table>();
  table->rows = table_->rows;
  for (int column : columns) {
    const int index = ColumnIndex(column);
    table->columns.push_back(table_->columns[index]);
    if (!table_->names.empty()) table->names.push_back(table_->names[index]);
  }
  Dataset result = *this;
  if (table->columns.empty()) {
    throw InvalidArgumentError("[data] select: expected at least one column");
  }
  result.table_ = table;
  return result;
}

Dataset Dataset::SelectNamed(const std::vector<std::string>& names) const {
  std::vector<int> columns;
  for (const std::string& name : names) columns.push_back(data::ColumnIndex(*table_, name));
  return Select(columns);
}

Dataset Dataset::WithTable(TablePtr table) const {
  if (table->rows != table_->rows) {
    throw InvalidArgumentError("[data] a table of {} rows in the place of one of {}",
                               table->rows, table_->rows);
  }
  Dataset result = *this;
  result.table_ = std::move(table);
  return result;
}

Dataset Dataset::Cache() const {
  std::vector<Tensor> tensors;
  for (const ColumnPtr& column : table_->columns) {
    tensors.push_back(Materialize(*column, table_->rows));
  }
  auto table = std::make_shared<Table>(*TableOf(tensors));
  table->names = table_->names;
  return WithTable(table);
}

void Dataset::RequireNoStages(const char* what) const {
  if (!stages_.empty()) {
    throw FailedPreconditionError("[data] {} must come before {}", what,
                                  stages_.front().description);
  }
}

Dataset Dataset::Filter(const std::function<bool(const Element&)>& keep) const {
  RequireNoStages("filter");
  std::vector<int64_t> kept;
  Iterator all = MakeIterator();
  while (const data::Batch* row = all.Next()) {
    if (keep(row->tensors)) kept.push_back(all.element() - 1);
  }
  auto table = std::make_shared<Table>();
  table->rows = static_cast<int64_t>(kept.size());
  table->names = table_->names;
  auto rows = std::make_shared<const std::vector<int64_t>>(std::move(kept));
  for (const ColumnPtr& column : table_->columns) {
    table->columns.push_back(FunctionColumn(column->spec(), [column, rows](int64_t i, void* out) {
      column->Gather({rows->data() + i, 1}, out);
    }));
  }
  return FromTable(table, description_ + " | filter");
}

Dataset Dataset::Concatenate(const Dataset& other) const {
  RequireNoStages("concatenate");
  other.RequireNoStages("concatenate");
  return FromTable(ConcatTables(table_, other.table_),
                   description_ + " + " + other.description_);
}

Dataset Dataset::With(std::string description,
                      std::function<RowStreamPtr(RowStreamPtr)> make) const {
  Dataset result = *this;
  result.stages_.push_back({std::move(description), std::move(make)});
  result.MakeRows();  // refuses bad arguments here, not at the first element
  return result;
}

Dataset Dataset::Shuffle(int64_t buffer, uint64_t seed, bool reshuffle_each_iteration) const {
  return With(fmt::format("shuffle {} seed {}{}", buffer, seed,
                          reshuffle_each_iteration ? "" : " once"),
              [=](RowStreamPtr source) {
                return ShuffleRows(std::move(source), buffer, seed, reshuffle_each_iteration);
              });
}

Dataset Dataset::Batch(int64_t size, bool drop_remainder) const {
  // A pass may be smaller than one batch, and memory is sized by the width; with
  // drop_remainder one row more than there are keeps such a batch incomplete.
  const int64_t width =
      cardinality_ == kInfinite || size <= cardinality_
          ? size
          : std::min(size, std::max<int64_t>(cardinality_, 1) + (drop_remainder ? 1 : 0));
  Dataset result = With(
      fmt::format("batch {}{}", size, drop_remainder ? " drop_remainder" : ""),
      [=](RowStreamPtr source) {
        return BatchRows(std::move(source), width, drop_remainder);
      });
  result.batch_ = size;
  result.drop_remainder_ = drop_remainder;
  if (cardinality_ != kInfinite) {
    result.cardinality_ = cardinality_ / size + (!drop_remainder && cardinality_ % size != 0);
  }
  return result;
}

Dataset Dataset::Repeat(int64_t count) const {
  Dataset result = With(fmt::format("repeat {}", count), [=](RowStreamPtr source) {
    return RepeatRows(std::move(source), count);
  });
  if (cardinality_ != 0) {
    result.cardinality_ = count < 0 || cardinality_ < 0 ? kInfinite
                                                       : CheckedMul(cardinality_, count, "repeat");
    if (count == 0) result.cardinality_ = 0;
  }
  return result;
}

Dataset Dataset::Take(int64_t count) const {
  Dataset result = With(fmt::format("take {}", count), [=](RowStreamPtr source) {
    return TakeRows(std::move(source), count);
  });
  result.cardinality_ = cardinality_ == kInfinite ? count : std::min(cardinality_, count);
  return result;
}

Dataset Dataset::Skip(int64_t count) const {
  Dataset result = With(fmt::format("skip {}", count), [=](RowStreamPtr source) {
    return SkipRows(std::move(source), count);
  });
  if (cardinality_ != kInfinite) {
    result.cardinality_ = std::max<int64_t>(0, cardinality_ - count);
  }
  return result;
}

Dataset Dataset::Shard(int64_t index, int64_t count) const {
  Dataset result = With(fmt::format("shard {}/{}", index, count), [=](RowStreamPtr source) {
    return ShardRows(std::move(source), index, count);
  });
  if (cardinality_ != kInfinite) {
    result.cardinality_ = (cardinality_ - index + count - 1) / count;
  }
  return result;
}

Dataset Dataset::ShardBatches(int64_t index, int64_t count) const {
  if (batch_ == 0) {
    throw FailedPreconditionError("[data] shard_batches must come after batch");
  }
  Dataset result = With("", [=](RowStreamPtr source) {
    return PartOfBatch(std::move(source), index, count);
  });
  result.parts_ *= count;
  return result;
}

Dataset Dataset::Prefetch(PrefetchOptions options) const {
  Dataset result = *this;
  result.prefetch_ = options;
  return result;
}

std::string Dataset::ToString() const {
  std::string text = fmt::format("{} ({} rows)", description_, table_->rows);
  for (const Stage& stage : stages_) {
    if (!stage.description.empty()) text += " | " + stage.description;
  }
  return text;
}

RowStreamPtr Dataset::MakeRows() const {
  RowStreamPtr rows = SequentialRows(table_->rows);
  for (const Stage& stage : stages_) rows = stage.make(std::move(rows));
  return rows;
}

Iterator Dataset::MakeIterator() const {
  return Iterator(table_, MakeRows(), batch_ > 0, ToString(), prefetch_);
}

}  // namespace tributary::data

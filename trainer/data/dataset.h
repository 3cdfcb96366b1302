#pragma once
// A pipeline of elements after tf.data.Dataset: a table, column transformations,
// and stages that choose the order of rows. A Dataset is an immutable value; each
// method returns a new one.
//
//   Dataset train = DataSources().Make("mnist", {{"split", "test[:9000]"}})
//                       .Shuffle(9000, seed).Batch(32);
//   Iterator it = train.MakeIterator();
//   for (int epoch = 0; epoch < 10; ++epoch, it.Rewind())
//     while (const Batch* batch = it.Next()) ...
//
// An element is a list of tensors, by convention inputs first and target last.

#include <functional>
#include <string>
#include <vector>

#include "trainer/data/column.h"
#include "trainer/data/iterator.h"

namespace tributary::data {

class ColumnTransform;

class Dataset {
 public:
  static constexpr int64_t kInfinite = -1;

  // Rows of tensors that agree in axis 0 (tf.data from_tensor_slices). They are
  // not copied: don't change them. Throws InvalidArgumentError.
  static Dataset FromTensorSlices(const std::vector<Tensor>& tensors);
  // `description` goes into saved positions, to tell pipelines apart.
  static Dataset FromTable(TablePtr table, std::string description);

  // What an element is; a batch without drop_remainder has an open leading axis.
  std::vector<TensorSpec> element_spec() const;
  // Elements of one pass, or kInfinite.
  int64_t cardinality() const { return cardinality_; }
  // Rows of the table, before any stage.
  int64_t rows() const { return table_->rows; }
  // The rows before any stage.
  const TablePtr& table() const { return table_; }
  // What the tensors of an element are called; empty when they have no names.
  const std::vector<std::string>& names() const { return table_->names; }
  // 0 before Batch. The global size: ShardBatches does not change it.
  int64_t batch_size() const { return batch_; }

  // Replaces column `column` (negative counts from the end) row by row; before or
  // after Batch alike. Throws InvalidArgumentError when it does not fit.
  Dataset Map(int column, const ColumnTransform& transform) const;
  // Columns in this order, some perhaps twice: {0, 0} makes an autoencoder's data.
  Dataset Select(const std::vector<int>& columns) const;
  // The same by names. Throws NotFoundError with the nearest name.
  Dataset SelectNamed(const std::vector<std::string>& names) const;
  // The same rows in the same order, with the columns of `table`. Throws
  // InvalidArgumentError when it has another number of rows.
  Dataset WithTable(TablePtr table) const;
  // Computes all rows now and keeps them.
  Dataset Cache() const;
  // Rows for which `keep` returns true. Reads every row now. Only before any
  // other stage.
  Dataset Filter(const std::function<bool(const Element&)>& keep) const;
  // The rows of both. Only before any other stage.
  Dataset Concatenate(const Dataset& other) const;

  Dataset Shuffle(int64_t buffer, uint64_t seed,
                  bool reshuffle_each_iteration = true) const;
  Dataset Batch(int64_t size, bool drop_remainder = false) const;
  Dataset Repeat(int64_t count = kInfinite) const;
  Dataset Take(int64_t count) const;
  Dataset Skip(int64_t count) const;
  // Every count-th element, from `index` (tf.data shard).
  Dataset Shard(int64_t index, int64_t count) const;
  // This rank's rows of each global batch: of m rows [m*index/count,
  // m*(index+1)/count), so that `count` ranks together see exactly what one rank
  // would. Positions stay valid when `count` changes.
  Dataset ShardBatches(int64_t index, int64_t count) const;
  Dataset Prefetch(PrefetchOptions options) const;

  // "mnist test[:9000] | shuffle 9000 seed 1 | batch 32".
  std::string ToString() const;

  Iterator MakeIterator() const;

 private:
  struct Stage {
    std::string description;  // "" when it does not change the global order
    std::function<RowStreamPtr(RowStreamPtr)> make;
  };
  Dataset With(std::string description,
               std::function<RowStreamPtr(RowStreamPtr)> make) const;
  void RequireNoStages(const char* what) const;
  int ColumnIndex(int column) const;
  RowStreamPtr MakeRows() const;

  TablePtr table_;
  std::string description_;
  std::vector<Stage> stages_;
  PrefetchOptions prefetch_;
  int64_t cardinality_ = 0;
  int64_t batch_ = 0;
  int64_t parts_ = 1;
  bool drop_remainder_ = false;
};

}  // namespace tributary::data

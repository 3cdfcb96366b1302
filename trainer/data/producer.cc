#include "trainer/data/producer.h"

namespace tributary::data {

Slot::Slot(const Table& table, int64_t width, bool batched, int index)
    : batched_(batched), index_(index) {
  for (const ColumnPtr& column : table.columns) {
    std::vector<int64_t> dims = {width};
    const auto& row = column->spec().shape.dims();
    dims.insert(dims.end(), row.begin(), row.end());
    whole_.push_back(Tensor::Empty(column->spec().dtype, Shape(dims)));
  }
}

Batch* Slot::For(int64_t rows) {
  for (const auto& batch : by_rows_) {
    if (batch->examples == rows) return batch.get();
  }
  auto batch = std::make_unique<Batch>();
  batch->slot = index_;
  batch->examples = rows;
  for (const Tensor& tensor : whole_) {
    const auto& dims = tensor.shape().dims();
    batch->tensors.push_back(
        batched_ ? tensor.Slice(0, rows)
                 : tensor.Reshaped(Shape(std::vector<int64_t>(dims.begin() + 1, dims.end()))));
  }
  by_rows_.push_back(std::move(batch));
  return by_rows_.back().get();
}

Producer::Producer(TablePtr table, RowStreamPtr rows, bool batched)
    : table_(std::move(table)),
      stream_(std::move(rows)),
      batched_(batched),
      rows_(stream_->width()) {
  stream_->StartPass(0);
}

int64_t Producer::Start(uint64_t pass, int64_t element) {
  pass_ = pass;
  stream_->StartPass(pass);
  int64_t skipped = 0;
  while (skipped < element && stream_->Next(rows_.data()) != RowStream::kEnd) ++skipped;
  return skipped;
}

const Batch* Producer::Produce(Slot* slot) {
  const int64_t count = stream_->Next(rows_.data());
  if (count == RowStream::kEnd) return nullptr;
  Batch* batch = slot->For(count);
  batch->global_examples = stream_->global_rows();
  for (size_t c = 0; c < table_->columns.size(); ++c) {
    table_->columns[c]->Gather({rows_.data(), static_cast<size_t>(count)},
                               batch->tensors[c].raw_data());
  }
  return batch;
}

std::unique_ptr<Slot> Producer::MakeSlot(int index) const {
  return std::make_unique<Slot>(*table_, stream_->width(), batched_, index);
}

}  // namespace tributary::data

#include "trainer/data/producer.h"

#include <algorithm>

#include "core/base/parallel.h"

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
  return Skip(element);
}

int64_t Producer::Skip(int64_t count) {
  int64_t skipped = 0;
  while (skipped < count && stream_->Next(rows_.data()) != RowStream::kEnd) ++skipped;
  return skipped;
}

// Less is not worth the wake-up of another thread.
constexpr int64_t kTeamBytes = 32 << 10;

const Batch* Producer::Produce(Slot* slot, bool on_team) {
  const int64_t count = stream_->Next(rows_.data());
  if (count == RowStream::kEnd) return nullptr;
  Batch* batch = slot->For(count);
  batch->global_examples = stream_->global_rows();
  for (size_t c = 0; c < table_->columns.size(); ++c) {
    const Column& column = *table_->columns[c];
    char* out = static_cast<char*>(batch->tensors[c].raw_data());
    const auto gather = [&](int64_t begin, int64_t end) {
      column.Gather({rows_.data() + begin, static_cast<size_t>(end - begin)},
                    out + begin * column.row_bytes());
    };
    if (on_team) {
      const int64_t bytes = std::max<int64_t>(1, column.row_bytes());
      ParallelFor(count, std::max<int64_t>(1, kTeamBytes / bytes), gather);
    } else {
      gather(0, count);
    }
  }
  return batch;
}

std::unique_ptr<Slot> Producer::MakeSlot(int index) const {
  return std::make_unique<Slot>(*table_, stream_->width(), batched_, index);
}

}  // namespace tributary::data

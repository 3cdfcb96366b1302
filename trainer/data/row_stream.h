#pragma once
// The order of a pipeline: which rows of the table make up each element. The
// stages of tf.data that only choose rows (shuffle, take, skip, shard, repeat,
// batch) are streams of row numbers, so a position is exact and cheap to restore.
//
// A pass is one run through the data set; everything random is a pure function of
// (seed, pass, position).

#include <cstdint>
#include <memory>
#include <vector>

namespace tributary::data {

class RowStream {
 public:
  static constexpr int64_t kEnd = -1;

  virtual ~RowStream() = default;

  // Writes the rows of the next element at `rows` (room for width()) and returns
  // how many there are, or kEnd at the end of the pass. Zero rows are possible:
  // a rank's part of a short global batch.
  virtual int64_t Next(int64_t* rows) = 0;
  // To the first element of pass `pass`. Must be called before Next.
  virtual void StartPass(uint64_t pass) = 0;
  // Rows of an element at most.
  virtual int64_t width() const = 0;
  // Rows of the last element over all ranks.
  virtual int64_t global_rows() const = 0;
};

using RowStreamPtr = std::unique_ptr<RowStream>;

RowStreamPtr SequentialRows(int64_t rows);
// Uniformly from a buffer of `buffer` elements, as tf.data.Dataset.shuffle: a
// whole permutation when the buffer holds everything.
RowStreamPtr ShuffleRows(RowStreamPtr source, int64_t buffer, uint64_t seed,
                         bool reshuffle_each_iteration);
RowStreamPtr TakeRows(RowStreamPtr source, int64_t count);
RowStreamPtr SkipRows(RowStreamPtr source, int64_t count);
// Elements whose number is `index` modulo `count`.
RowStreamPtr ShardRows(RowStreamPtr source, int64_t index, int64_t count);
// `count` passes of the source as one; -1 is for ever. Pass p of the result is
// passes p*count ... of the source, so each is shuffled anew.
RowStreamPtr RepeatRows(RowStreamPtr source, int64_t count);
// Groups of `size` single rows.
RowStreamPtr BatchRows(RowStreamPtr source, int64_t size, bool drop_remainder);
// Of each element with m rows, rows [m*index/count, m*(index+1)/count).
RowStreamPtr PartOfBatch(RowStreamPtr source, int64_t index, int64_t count);

}  // namespace tributary::data

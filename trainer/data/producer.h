#pragma once
// Makes elements: rows from a stream, gathered into a slot. Used by one thread
// at a time.

#include <memory>
#include <vector>

#include "trainer/data/iterator.h"

namespace tributary::data {

// Memory for one element of up to `width` rows, and a Batch for each number of
// rows met so far: views with one address.
class Slot {
 public:
  Slot(const Table& table, int64_t width, bool batched, int index);
  // Allocates when this number of rows is new.
  Batch* For(int64_t rows);

 private:
  std::vector<Tensor> whole_;
  bool batched_;
  int index_;
  std::vector<std::unique_ptr<Batch>> by_rows_;  // few: full and last batches
};

class Producer {
 public:
  Producer(TablePtr table, RowStreamPtr rows, bool batched);

  // To element `element` of pass `pass`; returns how many there were to skip.
  int64_t Start(uint64_t pass, int64_t element);
  // Leaves out `count` elements of this pass; returns how many there were.
  int64_t Skip(int64_t count);
  // Null at the end of the pass. `on_team`: the caller owns the compute team, which
  // shares the work (background threads do not).
  const Batch* Produce(Slot* slot, bool on_team);

  uint64_t pass() const { return pass_; }
  std::unique_ptr<Slot> MakeSlot(int index) const;

 private:
  TablePtr table_;
  RowStreamPtr stream_;
  bool batched_;
  std::vector<int64_t> rows_;
  uint64_t pass_ = 0;
};

}  // namespace tributary::data

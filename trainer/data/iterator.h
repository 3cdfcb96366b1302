#pragma once
// Walks a data set pass by pass and hands out its elements in recycled memory.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "trainer/data/column.h"
#include "trainer/data/row_stream.h"

namespace tributary::data {

// Where elements are produced.
struct PrefetchOptions {
  enum class Mode {
    kAuto,    // inline until producing proves dear and a core is free for it
    kInline,  // in the caller of Next
    kThread,  // ahead, on a thread of its own
  };
  Mode mode = Mode::kAuto;
  int slots = 4;  // buffers of kThread, at least 2
  // An element stays valid until so many more were asked for; above 1 only inline.
  int live = 1;
};

// One element. With the same slot and the same number of examples the tensors
// keep their addresses and shapes for the life of the iterator, so a plan binds
// them once.
struct Batch {
  std::vector<Tensor> tensors;
  int slot = 0;
  // Rows here, and over all ranks where the batch is one rank's part of a global
  // one. `examples` may be 0 for such a part of a short last batch; a mean over
  // ranks weighs them by examples / global_examples.
  int64_t examples = 0;
  int64_t global_examples = 0;
};

// Not safe to share between threads. In the steady state (fixed-size plain
// columns, shapes seen before) Next allocates nothing.
class Iterator {
 public:
  // `batched`: elements carry a leading axis of rows. `pipeline` describes the
  // order of rows; a position is restored only into the same one.
  Iterator(TablePtr table, RowStreamPtr rows, bool batched, std::string pipeline,
           PrefetchOptions prefetch);
  ~Iterator();
  Iterator(Iterator&&) noexcept;
  Iterator& operator=(Iterator&&) noexcept;

  // The next element, valid until the next call of any method (PrefetchOptions::live of
  // Next: so many calls); null at the end
  // of the pass, and then again until Rewind. Throws what a source throws.
  const Batch* Next();

  // To the start of the next pass (an unfinished one is left).
  void Rewind();

  // To element `element` of pass `pass`; onwards in the present pass without starting it
  // again. Throws OutOfRangeError when the pass has fewer.
  void Seek(uint64_t pass, int64_t element);

  // Number of this pass, from 0, and of elements handed out in it.
  uint64_t pass() const;
  int64_t element() const;

  // Slots that Batch::slot may name. Grows from 1 when Mode::kAuto moves to a
  // thread.
  int slots() const;

  // The position as a line of JSON: elements prefetched but not handed out count
  // as not read. Restoring makes the following elements bit-equal, whatever the
  // prefetch mode and the number of ranks. RestoreState throws
  // InvalidArgumentError for text that is no state, FailedPreconditionError for
  // a state of another pipeline.
  std::string SaveState() const;
  void RestoreState(const std::string& state);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::data

#pragma once
// What the ranks of one host share in training: one common segment (variables,
// slots) and one segment a rank (its gradients), with a barrier.
//
// The rule that needs no locks: between two barriers, rank r writes only its own
// segment, or only its own slice of the common segment (SliceOf) and of its own
// segment; it reads anything that nobody writes.

#include <span>

#include "distribute/comm/node_shared/shared_barrier.h"
#include "distribute/comm/slices.h"

namespace tributary {

class SharedWindow {
 public:
  // Collective over the ranks of one host. world_ranks names them in messages.
  // Memory is zeroed. Throws ResourceExhaustedError on every rank.
  SharedWindow(Communicator& host, std::vector<int> world_ranks, size_t common_bytes,
               size_t segment_bytes, Millis timeout);

  int rank() const { return rank_; }
  int size() const { return size_; }
  void* common() const { return common_; }
  void* segment(int rank) const { return segments_ + rank * stride_; }
  size_t segment_bytes() const { return segment_bytes_; }
  // Held by tensors that view the window.
  const std::shared_ptr<void>& memory() const { return memory_; }

  void Barrier() { barrier_.Wait(); }

  // Reduces this rank's slice of `count` elements at `byte_offset` of every
  // segment, in rank order, into its own segment. To be called between barriers.
  Slice ReduceOwnSlice(DType dtype, ReduceOp op, size_t byte_offset, int64_t count);

 private:
  SharedWindow(Communicator& host, std::vector<int> world_ranks, size_t common_bytes,
               size_t segment_bytes, Millis timeout, std::shared_ptr<void> memory);

  std::shared_ptr<void> memory_;
  int rank_, size_;
  size_t segment_bytes_, stride_;
  uint8_t *common_, *segments_;
  SharedBarrier barrier_;
  std::vector<const void*> sources_;
};

}  // namespace tributary

#pragma once
// What the ranks of one host share in training: memory that is one for all
// (variables, slots), a segment a rank that all may read (gradients), a barrier,
// and bits that any rank may raise.
//
// The rule that needs no locks. Between BeginUpdate and EndUpdate nobody writes a
// segment; rank r writes only its own slice (SliceOf) of common memory and reads
// segments. Outside, nobody writes common memory and every rank writes its own
// segment.

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor/buffer.h"
#include "distribute/comm/node_shared/shared_barrier.h"
#include "distribute/comm/slices.h"

namespace tributary {

class NodeGroup {
 public:
  // Collective over `host`, the ranks of one host, which is kept and used by
  // nobody else. world_ranks[r] is what rank r is called in messages.
  NodeGroup(std::shared_ptr<Communicator> host, std::vector<int> world_ranks, Millis timeout);

  int rank() const { return rank_; }
  int size() const { return size_; }

  // One zeroed piece of memory for all, aligned to a page. The same name gives the
  // same memory again. Collective the first time. Throws ResourceExhaustedError on
  // every rank, InvalidArgumentError when more bytes are asked for the second time.
  std::shared_ptr<Buffer> Common(const std::string& name, size_t bytes);
  // This rank's segment of a piece of memory with one for each rank; as Common.
  std::shared_ptr<Buffer> Segment(const std::string& name, size_t bytes);
  // Rank r's segment. Throws NotFoundError.
  void* SegmentOf(const std::string& name, int rank) const;
  // True for addresses inside common memory.
  bool IsCommon(const void* address) const;

  void Barrier() { barrier_->Wait(); }
  void BeginUpdate();
  void EndUpdate() { barrier_->Wait(); }

  // target = the reduction, in rank order, of elements [slice.begin, slice.end())
  // of every rank's segment. kMean divides by `divisor`.
  void Reduce(const std::string& name, DType dtype, ReduceOp op, Slice slice, int64_t divisor,
              void* target);
  // Sums a small vector over the ranks, in rank order: collective, to be called
  // between BeginUpdate and EndUpdate, at most once with each `name`.
  void Sum(const std::string& name, DType dtype, const void* input, int64_t count, void* output);

  // Bits that this rank raises travel with the next BeginUpdate; TakeRaised then
  // returns the bits of all ranks, alike on every rank, once.
  void Raise(uint32_t bits) { raising_ |= bits; }
  uint32_t TakeRaised() { return std::exchange(raised_, 0); }
  // Updates begun so far.
  uint64_t updates() const { return updates_; }

 private:
  struct Region {
    std::shared_ptr<void> memory;
    size_t bytes = 0;   // asked for
    size_t stride = 0;  // from segment to segment
    size_t total = 0;
  };
  struct alignas(64) Flags {
    std::atomic<uint32_t> bits[2];  // of even and odd updates
  };
  const Region& Find(const std::string& name) const;
  const Region& Allocate(std::map<std::string, Region>& regions, const std::string& name,
                         size_t bytes, int pieces);

  std::shared_ptr<Communicator> host_;
  int rank_, size_;
  std::shared_ptr<void> control_;
  std::unique_ptr<SharedBarrier> barrier_;
  Flags* flags_;
  std::map<std::string, Region> common_, segments_;
  std::vector<const void*> sources_;
  uint64_t updates_ = 0;
  uint32_t raising_ = 0, raised_ = 0;
};

}  // namespace tributary

#include "distribute/comm/node_shared/shared_window.h"

#include "distribute/comm/node_shared/shared_region.h"
#include "distribute/comm/reduce_kernels.h"

namespace tributary {
namespace {

// Segments start on pages of their own: no rank's page is first touched by another.
constexpr size_t kPage = 4096;
size_t Pages(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

}  // namespace

SharedWindow::SharedWindow(Communicator& host, std::vector<int> world_ranks, size_t common_bytes,
                           size_t segment_bytes, Millis timeout)
    : SharedWindow(host, world_ranks, common_bytes, segment_bytes, timeout,
                   MakeSharedRegion(host, Pages(SharedBarrier::Bytes(host.size())) +
                                              Pages(common_bytes) +
                                              host.size() * Pages(segment_bytes))) {}

SharedWindow::SharedWindow(Communicator& host, std::vector<int> world_ranks, size_t common_bytes,
                           size_t segment_bytes, Millis timeout, std::shared_ptr<void> memory)
    : memory_(std::move(memory)),
      rank_(host.rank()),
      size_(host.size()),
      segment_bytes_(segment_bytes),
      stride_(Pages(segment_bytes)),
      common_(static_cast<uint8_t*>(memory_.get()) + Pages(SharedBarrier::Bytes(size_))),
      segments_(common_ + Pages(common_bytes)),
      barrier_(memory_.get(), rank_, std::move(world_ranks), host.health(), timeout),
      sources_(size_) {}

Slice SharedWindow::ReduceOwnSlice(DType dtype, ReduceOp op, size_t byte_offset, int64_t count) {
  const size_t element = DTypeSize(dtype);
  const Slice mine = SliceOf(count, element, size_, rank_);
  const size_t at = byte_offset + mine.begin * element;
  for (int r = 0; r < size_; ++r) sources_[r] = static_cast<uint8_t*>(segment(r)) + at;
  ReduceSources(dtype, op, static_cast<uint8_t*>(segment(rank_)) + at, sources_.data(), size_,
                mine.count, size_);
  return mine;
}

}  // namespace tributary

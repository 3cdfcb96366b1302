#include "distribute/comm/node_shared/node_group.h"

#include "distribute/comm/node_shared/shared_region.h"
#include "distribute/comm/reduce_kernels.h"

namespace tributary {
namespace {

// Segments start on pages of their own.
constexpr size_t kPage = 4096;
size_t Pages(size_t bytes) { return std::max<size_t>(1, (bytes + kPage - 1) / kPage) * kPage; }

}  // namespace

NodeGroup::NodeGroup(std::shared_ptr<Communicator> host, std::vector<int> world_ranks,
                     Millis timeout)
    : host_(std::move(host)), rank_(host_->rank()), size_(host_->size()), sources_(size_) {
  const size_t barrier_bytes = SharedBarrier::Bytes(size_);
  control_ = MakeSharedRegion(*host_, barrier_bytes + size_ * sizeof(Flags));
  flags_ = reinterpret_cast<Flags*>(static_cast<uint8_t*>(control_.get()) + barrier_bytes);
  barrier_ = std::make_unique<SharedBarrier>(control_.get(), rank_, std::move(world_ranks),
                                             host_->health(), timeout);
}

const NodeGroup::Region& NodeGroup::Allocate(std::map<std::string, Region>& regions,
                                             const std::string& name, size_t bytes, int pieces) {
  const auto found = regions.find(name);
  if (found == regions.end()) {
    Region region{nullptr, bytes, Pages(bytes), Pages(bytes) * pieces};
    region.memory = MakeSharedRegion(*host_, region.total);
    return regions.emplace(name, std::move(region)).first->second;
  }
  if (bytes > found->second.bytes) {
    throw InvalidArgumentError(
        "[node_shared] '{}' was allocated with {} bytes, now {} are asked for", name,
        found->second.bytes, bytes);
  }
  return found->second;
}

std::shared_ptr<Buffer> NodeGroup::Common(const std::string& name, size_t bytes) {
  const Region& region = Allocate(common_, name, bytes, 1);
  return Buffer::Wrap(region.memory.get(), region.bytes, region.memory);
}

std::shared_ptr<Buffer> NodeGroup::Segment(const std::string& name, size_t bytes) {
  const Region& region = Allocate(segments_, name, bytes, size_);
  return Buffer::Wrap(SegmentOf(name, rank_), region.bytes, region.memory);
}

const NodeGroup::Region& NodeGroup::Find(const std::string& name) const {
  const auto found = segments_.find(name);
  if (found == segments_.end()) throw NotFoundError("[node_shared] no segments '{}'", name);
  return found->second;
}

void* NodeGroup::SegmentOf(const std::string& name, int rank) const {
  const Region& region = Find(name);
  return static_cast<uint8_t*>(region.memory.get()) + rank * region.stride;
}

bool NodeGroup::IsCommon(const void* address) const {
  return std::any_of(common_.begin(), common_.end(), [&](const auto& entry) {
    const auto* begin = static_cast<const uint8_t*>(entry.second.memory.get());
    return address >= begin && address < begin + entry.second.total;
  });
}

void NodeGroup::BeginUpdate() {
  // Nobody writes the flags of this parity again before the update after next,
  // which nobody begins before everybody has read these.
  const int parity = static_cast<int>(updates_++ % 2);
  flags_[rank_].bits[parity].store(std::exchange(raising_, 0), std::memory_order_relaxed);
  barrier_->Wait();
  for (int r = 0; r < size_; ++r) {
    raised_ |= flags_[r].bits[parity].load(std::memory_order_relaxed);
  }
}

void NodeGroup::Reduce(const std::string& name, DType dtype, ReduceOp op, Slice slice,
                       int64_t divisor, void* target) {
  const Region& region = Find(name);
  const auto* first =
      static_cast<const uint8_t*>(region.memory.get()) + slice.begin * DTypeSize(dtype);
  for (int r = 0; r < size_; ++r) sources_[r] = first + r * region.stride;
  ReduceSources(dtype, op, target, sources_.data(), size_, slice.count, divisor);
}

void NodeGroup::Sum(const std::string& name, DType dtype, const void* input, int64_t count,
                    void* output) {
  std::memcpy(SegmentOf(name, rank_), input, count * DTypeSize(dtype));
  barrier_->Wait();
  Reduce(name, dtype, ReduceOp::kSum, {0, count}, 1, output);
}

}  // namespace tributary

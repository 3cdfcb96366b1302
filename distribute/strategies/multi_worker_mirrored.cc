#include "distribute/strategies/multi_worker_mirrored.h"

#include <sched.h>

#include "core/base/logging.h"
#include "core/base/parallel.h"
#include "core/runtime/execute.h"
#include "distribute/graph_ops/node_shared_ops.h"
#include "ops/array_ops.h"
#include "ops/linalg/gemm.h"
#include "ops/math_ops.h"

namespace tributary {
namespace {

constexpr int kRequestBits = 8;

int Cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

// Batches of other sizes have other segments.
SharedProduct ShareFactors(const FlatBucket& bucket, const FlatBucket::Product& p) {
  const FlatBucket::Member& member = bucket.members[static_cast<size_t>(p.member)];
  return {.segment = fmt::format("factors {} {} {}", bucket.name, member.name, p.a.dim(0)),
          .offset = member.begin, .rows = p.a.dim(0), .m = p.a.dim(1), .n = p.b.dim(1)};
}

// A core is free for the communication thread when this host's ranks leave one each.
bool CoreIsFree(const HostLayout& hosts) {
  return Cores() >= hosts.local_size * (NumThreads() + 1);
}

Tensor Plus(const Tensor& sum, const Tensor& part) {
  return sum.defined() ? Execute1("AddV2", {sum, part}) : part;
}

// What one rank's slices of the summed gradients, one a bucket, add to the norms.
Tensor NormsOfSlices(UpdateStep& step, const std::vector<Slice>& owned,
                     const std::vector<Tensor>& slices) {
  Tensor norms;
  for (size_t b = 0; b < slices.size(); ++b) {
    norms = Plus(norms, step.SquaredNorms(static_cast<int>(b), owned[b].begin, owned[b].end(),
                                          slices[b]));
  }
  return norms;
}

}  // namespace

MultiWorkerMirrored::MultiWorkerMirrored(JobContext& job, MultiWorkerMirroredOptions options)
    : job_(job), request_bits_(kRequestBits) {
  using Overlap = MultiWorkerMirroredOptions::Overlap;
  Communicator& world = job.world();
  const HostLayout& hosts = job.hosts();
  const bool sharable = world.size() > hosts.num_hosts;
  if (options.node_shared && sharable && !hosts.uniform && world.rank() == 0) {
    LogWarning("the hosts have different numbers of ranks: buckets are all-reduced, not "
               "node-shared; give every host the same number");
  }
  if (options.node_shared && sharable && hosts.uniform) {
    node_ = std::make_shared<NodeGroup>(world.Split(hosts.host, world.rank()),
                                        hosts.RanksOf(hosts.host), job.options().timeout);
    node_key_ = NodeGroups().Add(node_);
    leaders_ = world.Split(hosts.local_rank == 0 ? 0 : 1, world.rank());
  }
  if (node_ && hosts.num_hosts == 1) return;
  // Overlap on every rank or on none: collectives are the same either way, but a
  // mixture waits for its slowest kind.
  std::vector<int32_t> free{CoreIsFree(hosts)};
  world.AllReduce(free, ReduceOp::kMin);
  overlap_ = options.overlap == Overlap::kOn ||
             (options.overlap == Overlap::kAuto && free[0] == 1 && world.size() > 1);
  group_ = std::make_shared<CollectiveGroup>(
      world.Split(node_ ? hosts.local_rank : 0, world.rank()), overlap_);
  group_key_ = CollectiveGroups().Add(group_);
}

std::string MultiWorkerMirrored::Describe() const {
  std::string text = fmt::format("multi_worker_mirrored: {} replica{}", job_.world().size(),
                                 job_.world().size() == 1 ? "" : "s");
  if (job_.hosts().num_hosts > 1) text += fmt::format(" on {} hosts", job_.hosts().num_hosts);
  if (node_) text += ", node-shared";
  if (group_) text += overlap_ ? ", all-reduced (overlapping)" : ", all-reduced";
  return text;
}

InputShard MultiWorkerMirrored::input_shard() const {
  return {job_.world().rank(), job_.world().size()};
}

bool MultiWorkerMirrored::is_chief() const { return job_.cluster().is_chief; }

std::shared_ptr<Buffer> MultiWorkerMirrored::AllocateBucket(BucketKind kind,
                                                            const std::string& name,
                                                            size_t bytes) {
  if (!node_) return plain_.Allocate("multi_worker_mirrored", kind, name, bytes);
  switch (kind) {
    case BucketKind::kVariables: return node_->Common("variables " + name, bytes);
    case BucketKind::kSlots: return node_->Common("slots " + name, bytes);
    case BucketKind::kGradients: return node_->Segment(name, bytes);
  }
  throw InternalError("[multi_worker_mirrored] unknown bucket kind");
}

// Where less goes from core to core. The bits are those of whole gradients: the products of
// tiles depend on no tiling, those of oneDNN do.
bool MultiWorkerMirrored::TakesProduct(int64_t rows, int64_t m, int64_t n) const {
  return node_ && node_->size() * rows * (m + n) < m * n &&
         ChooseGemmBackend({.m = m, .n = n, .k = rows, .transpose_a = true}) ==
             GemmBackend::kTiles;
}

void MultiWorkerMirrored::BuildUpdate(UpdateStep& step) {
  if (node_) {
    BuildNodeShared(step);
  } else {
    BuildAllReduced(step);
  }
}

void MultiWorkerMirrored::BuildNodeShared(UpdateStep& step) {
  const std::vector<FlatBucket>& buckets = step.buckets();
  std::vector<Tensor> shared, slices;
  std::vector<std::string> names;
  std::vector<size_t> first;  // of what is shared of a bucket
  std::vector<Slice> owned;
  std::vector<std::vector<SharedProduct>> products(buckets.size());
  for (size_t b = 0; b < buckets.size(); ++b) {
    const FlatBucket& bucket = buckets[b];
    first.push_back(shared.size());
    if (bucket.gradient.defined()) {
      // Here, where all ranks are: the plan of one without rows would not ask for it.
      node_->Segment(bucket.name, bucket.size * DTypeSize(bucket.dtype));
      shared.push_back(bucket.gradient);
      names.push_back(bucket.name);
    }
    owned.push_back(
        SliceOf(bucket.size, DTypeSize(bucket.dtype), node_->size(), node_->rank()));
    for (const FlatBucket::Product& p : bucket.products) {
      products[b].push_back(ShareFactors(bucket, p));
      names.push_back(products[b].back().segment);
      shared.push_back(ops::FlatPack({p.a, p.b}, {0, products[b].back().begin_of_b()},
                                     products[b].back().factor_elements(), names.back(), true));
    }
  }
  NodeSharedBegin(node_key_, shared, names);
  for (size_t b = 0; b < buckets.size(); ++b) {
    const std::string segment = buckets[b].gradient.defined() ? buckets[b].name : "";
    slices.push_back(
        NodeSharedReduce(node_key_, shared[first[b]], segment, owned[b], products[b]));
  }
  if (group_) {
    for (Tensor& slice : slices) slice = CollectiveReduce(slice, group_key_, ReduceOp::kSum);
  }
  Tensor norms;
  if (step.NeedsNorms()) {
    norms = NormsOfSlices(step, owned, slices);
    const std::string name = fmt::format("norms {}", traces_++);
    node_->Segment(name, norms.shape().NumElements() * DTypeSize(norms.dtype()));
    norms = NodeSharedSum(node_key_, norms, name);
  }
  for (size_t b = 0; b < buckets.size(); ++b) {
    step.Apply(static_cast<int>(b), owned[b].begin, owned[b].end(), slices[b], norms);
  }
  NodeSharedEnd(node_key_, slices);
}

// Added up as ranks that share their memory do it, slice by slice: to the same bits.
Tensor MultiWorkerMirrored::NormsBySlices(UpdateStep& step, const std::vector<Tensor>& sums) {
  const std::vector<FlatBucket>& buckets = step.buckets();
  const int owners = job_.hosts().uniform ? job_.hosts().local_size : 1;
  Tensor norms;
  for (int r = 0; r < owners; ++r) {
    std::vector<Slice> owned;
    std::vector<Tensor> slices;
    for (size_t b = 0; b < buckets.size(); ++b) {
      owned.push_back(SliceOf(buckets[b].size, DTypeSize(buckets[b].dtype), owners, r));
      slices.push_back(ops::Slice(sums[b], {owned[b].begin}, {owned[b].count}));
    }
    norms = Plus(norms, NormsOfSlices(step, owned, slices));
  }
  return norms;
}

void MultiWorkerMirrored::BuildAllReduced(UpdateStep& step) {
  const std::vector<FlatBucket>& buckets = step.buckets();
  std::vector<Tensor> sums;
  for (const FlatBucket& bucket : buckets) {
    sums.push_back(CollectiveReduce(bucket.gradient, group_key_, ReduceOp::kSum));
  }
  const Tensor norms = step.NeedsNorms() ? NormsBySlices(step, sums) : Tensor();
  for (size_t b = 0; b < buckets.size(); ++b) {
    step.Apply(static_cast<int>(b), 0, buckets[b].size, sums[b], norms);
  }
}

void MultiWorkerMirrored::SyncInitialState(const std::vector<Tensor>& tensors) {
  Communicator& world = job_.world();
  // Nobody is still writing its own idea of the values into shared memory.
  world.Barrier();
  for (const Tensor& tensor : tensors) {
    const DataRef data{tensor.raw_data(), static_cast<int64_t>(tensor.bytes()), DType::kUint8};
    if (!node_ || !node_->IsCommon(data.data)) {
      world.Broadcast(data, 0);
    } else if (job_.hosts().local_rank == 0 && leaders_->size() > 1) {
      leaders_->Broadcast(data, 0);
    }
  }
  world.Barrier();
}

void MultiWorkerMirrored::SumAcrossReplicas(std::span<double> values) {
  Communicator& world = job_.world();
  const int64_t count = static_cast<int64_t>(values.size());
  if (count == 0) return world.Barrier();
  std::vector<double> all(count * world.size());
  world.AllGather({values.data(), count, DType::kFloat64}, all);
  for (int64_t i = 0; i < count; ++i) {
    double sum = all[i];
    for (int r = 1; r < world.size(); ++r) sum += all[r * count + i];
    values[i] = sum;
  }
}

void MultiWorkerMirrored::BeginStep() { job_.health().BeginStep(); }

uint32_t MultiWorkerMirrored::EndStep(uint32_t requests) {
  job_.health().Check();
  job_.health().EndStep();
  if (!node_ || group_) return UnionOfRequests(requests);
  // Travels with the barriers of the next update.
  node_->Raise(requests);
  return node_->TakeRaised();
}

uint32_t MultiWorkerMirrored::UnionOfRequests(uint32_t requests) {
  if (job_.world().size() == 1) return requests;
  for (int i = 0; i < kRequestBits; ++i) request_bits_[i] = (requests >> i) & 1;
  job_.world().AllReduce(request_bits_, ReduceOp::kMax);
  uint32_t all = 0;
  for (int i = 0; i < kRequestBits; ++i) all |= static_cast<uint32_t>(request_bits_[i]) << i;
  return all;
}

namespace {

MultiWorkerMirroredOptions::Overlap OverlapOf(const std::string& word) {
  using Overlap = MultiWorkerMirroredOptions::Overlap;
  if (word == "on") return Overlap::kOn;
  return word == "off" ? Overlap::kOff : Overlap::kAuto;
}

REGISTER_STRATEGY(
    OptionTable{"MultiWorkerMirrored",
                "Every rank trains on its part of each batch.",
                {Opt("node_shared").Bool().Default(true).Doc(
                     "ranks of a host share one copy of the variables"),
                 Opt("overlap").OneOf({"auto", "on", "off"}).Default("auto").Doc(
                     "all-reduce on a thread of its own while the backward pass goes on")},
                {"multi_worker_mirrored"}},
    [](const Options& options) -> std::shared_ptr<Strategy> {
      return std::make_shared<MultiWorkerMirrored>(
          JobContext::Current(), MultiWorkerMirroredOptions{
                                     .node_shared = options.Bool("node_shared"),
                                     .overlap = OverlapOf(options.Get<std::string>("overlap"))});
    });

}  // namespace
}  // namespace tributary

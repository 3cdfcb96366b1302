#pragma once
// MultiWorkerMirrored: every rank of the job trains the same model on its part of
// each batch (tf.distribute.MultiWorkerMirroredStrategy).
//
// Ranks of one host share one copy of variables and slots; each sums and updates
// its own slice of them between two barriers (NodeGroup). Where the factors of a
// weight's gradient are smaller than the gradient, they are what ranks read of each
// other: each multiplies its slice for all of them. Across hosts the owners
// of a slice all-reduce that slice first. Without node sharing, or where hosts have
// different numbers of ranks, every rank has its own copy and gradients are
// all-reduced, bucket by bucket, while the backward pass goes on where a core is
// free for it.

#include "distribute/comm/node_shared/node_group.h"
#include "distribute/graph_ops/collective_group.h"
#include "distribute/job/job_context.h"
#include "trainer/strategy/plain_buckets.h"
#include "trainer/strategy/strategy.h"

namespace tributary {

struct MultiWorkerMirroredOptions {
  bool node_shared = true;
  enum class Overlap { kAuto, kOn, kOff };
  Overlap overlap = Overlap::kAuto;
};

class MultiWorkerMirrored final : public Strategy {
 public:
  // Collective over the job, which must outlive the strategy.
  explicit MultiWorkerMirrored(JobContext& job, MultiWorkerMirroredOptions options = {});

  std::string Describe() const override;
  InputShard input_shard() const override;
  bool is_chief() const override;
  std::shared_ptr<Buffer> AllocateBucket(BucketKind kind, const std::string& name,
                                         size_t bytes) override;
  bool TakesProduct(int64_t rows, int64_t m, int64_t n) const override;
  void BuildUpdate(UpdateStep& step) override;
  void SyncInitialState(const std::vector<Tensor>& tensors) override;
  void SumAcrossReplicas(std::span<double> values) override;
  void BeginStep() override;
  uint32_t EndStep(uint32_t requests) override;

 private:
  void BuildNodeShared(UpdateStep& step);
  void BuildAllReduced(UpdateStep& step);
  Tensor NormsBySlices(UpdateStep& step, const std::vector<Tensor>& sums);
  uint32_t UnionOfRequests(uint32_t requests);

  JobContext& job_;
  bool overlap_ = false;
  std::shared_ptr<NodeGroup> node_;         // null: every rank has its own copy
  int64_t node_key_ = 0;
  std::shared_ptr<Communicator> leaders_;   // the first ranks of the hosts, on those
  std::shared_ptr<CollectiveGroup> group_;  // all ranks, or the owners of one slice
  int64_t group_key_ = 0;                   // 0: no group is needed
  PlainBuckets plain_;
  int traces_ = 0;
  std::vector<int32_t> request_bits_;
};

}  // namespace tributary

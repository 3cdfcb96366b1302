#pragma once
// OneDeviceStrategy: one replica, plain memory (tf.distribute.OneDeviceStrategy).

#include "trainer/strategy/plain_buckets.h"
#include "trainer/strategy/strategy.h"

namespace tributary {

class OneDeviceStrategy final : public Strategy {
 public:
  std::string Describe() const override { return "one_device"; }
  InputShard input_shard() const override { return {}; }
  bool is_chief() const override { return true; }
  std::shared_ptr<Buffer> AllocateBucket(BucketKind kind, const std::string& name,
                                         size_t bytes) override {
    return buckets_.Allocate("one_device", kind, name, bytes);
  }
  void BuildUpdate(UpdateStep& step) override;
  void SyncInitialState(const std::vector<Tensor>&) override {}
  void SumAcrossReplicas(std::span<double>) override {}
  uint32_t EndStep(uint32_t requests) override { return requests; }

 private:
  PlainBuckets buckets_;
};

}  // namespace tributary

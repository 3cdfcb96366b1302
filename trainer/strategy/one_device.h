#pragma once
// OneDeviceStrategy: one replica, plain memory (tf.distribute.OneDeviceStrategy).

#include <map>

#include "trainer/strategy/strategy.h"

namespace tributary {

class OneDeviceStrategy final : public Strategy {
 public:
  std::string Describe() const override { return "one_device"; }
  InputShard input_shard() const override { return {}; }
  bool is_chief() const override { return true; }
  std::shared_ptr<Buffer> AllocateBucket(BucketKind kind, const std::string& name,
                                         size_t bytes) override;
  void BuildUpdate(UpdateStep& step) override;
  void SyncInitialState(const std::vector<Tensor>&) override {}
  void SumAcrossReplicas(std::span<double>) override {}
  uint32_t EndStep(uint32_t requests) override { return requests; }

 private:
  std::map<std::pair<BucketKind, std::string>, std::shared_ptr<Buffer>> buckets_;
};

}  // namespace tributary

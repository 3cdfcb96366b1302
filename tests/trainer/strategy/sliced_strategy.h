#pragma once
// A strategy of one replica that updates in several slices, as owners of node-shared
// memory would: the result must be that of one slice.

#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "trainer/strategy/one_device.h"

namespace tributary::testing {

class SlicedStrategy final : public Strategy {
 public:
  explicit SlicedStrategy(int slices) : slices_(slices) {}
  std::string Describe() const override { return "sliced"; }
  InputShard input_shard() const override { return {}; }
  bool is_chief() const override { return true; }
  std::shared_ptr<Buffer> AllocateBucket(BucketKind kind, const std::string& name,
                                         size_t bytes) override {
    return memory_.AllocateBucket(kind, name, bytes);
  }
  void BuildUpdate(UpdateStep& step) override {
    Tensor norms;
    const auto for_slices = [&](auto fn) {
      for (size_t b = 0; b < step.buckets().size(); ++b) {
        const int64_t size = step.buckets()[b].size;
        for (int s = 0; s < slices_; ++s) {
          const int64_t begin = size * s / slices_, end = size * (s + 1) / slices_;
          if (begin < end) {
            fn(static_cast<int>(b), begin, end,
               ops::Slice(step.buckets()[b].gradient, {begin}, {end - begin}));
          }
        }
      }
    };
    if (step.NeedsNorms()) {
      for_slices([&](int b, int64_t begin, int64_t end, const Tensor& gradient) {
        const Tensor part = step.SquaredNorms(b, begin, end, gradient);
        norms = norms.defined() ? ops::Add(norms, part) : part;
      });
    }
    for_slices([&](int b, int64_t begin, int64_t end, const Tensor& gradient) {
      step.Apply(b, begin, end, gradient, norms);
    });
  }
  void SyncInitialState(const std::vector<Tensor>&) override {}
  void SumAcrossReplicas(std::span<double>) override {}
  uint32_t EndStep(uint32_t requests) override { return requests; }

 private:
  int slices_;
  OneDeviceStrategy memory_;
};

}  // namespace tributary::testing

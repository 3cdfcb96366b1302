#include "trainer/strategy/one_device.h"

#include "core/runtime/execute.h"

namespace tributary {

void OneDeviceStrategy::BuildUpdate(UpdateStep& step) {
  const std::vector<FlatBucket>& buckets = step.buckets();
  Tensor norms;
  if (step.NeedsNorms()) {
    for (size_t b = 0; b < buckets.size(); ++b) {
      const Tensor part = step.SquaredNorms(b, 0, buckets[b].size, buckets[b].gradient);
      norms = norms.defined() ? Execute1("AddV2", {norms, part}) : part;
    }
  }
  for (size_t b = 0; b < buckets.size(); ++b) {
    step.Apply(b, 0, buckets[b].size, buckets[b].gradient, norms);
  }
}

namespace {
REGISTER_STRATEGY(OptionTable{"OneDevice", "Trains in this process alone.", {},
                              {"one_device"}},
                  [](const Options&) { return std::make_shared<OneDeviceStrategy>(); });
}  // namespace
}  // namespace tributary

// StringToHashBucketFast: strings to [0, num_buckets) by Fingerprint64
// (tf.strings.to_hash_bucket_fast).

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/string/fingerprint.h"
#include "ops/feature_ops.h"

namespace tributary {
namespace {

std::unique_ptr<Kernel> MakeHash(PrepareContext& c) {
  const auto buckets = static_cast<uint64_t>(c.attr<int64_t>("num_buckets"));
  return MakeKernel([buckets, count = c.in_shape(0).NumElements()](const LaunchArgs& args) {
    const auto* text = static_cast<const std::string*>(args.in[0]);
    auto* out = static_cast<int64_t*>(args.out[0]);
    for (int64_t i = 0; i < count; ++i) {
      out[i] = static_cast<int64_t>(Fingerprint64(text[i]) % buckets);
    }
  });
}

REGISTER_OP("StringToHashBucketFast")
    .Input("input: string")
    .Output("output: int64")
    .Attr("num_buckets: int >= 1")
    .Shape(ops::UnchangedShape)
    .NotDifferentiable()
    .Samples([] {
      const Tensor words = Tensor::FromVector<std::string>({"a", "", "Masters", "x y"}, {2, 2});
      return std::vector<OpSample>{
          {{words}, {{"num_buckets", 7}}},
          {{Tensor::FromVector<std::string>({}, {0})}, {{"num_buckets", 1}}}};
    });
REGISTER_KERNEL("StringToHashBucketFast", DeviceType::kCpu, {}, MakeHash);

}  // namespace

namespace ops {

Tensor StringToHashBucketFast(const Tensor& input, int64_t num_buckets) {
  return Execute1("StringToHashBucketFast", {input}, {{"num_buckets", num_buckets}});
}

}  // namespace ops
}  // namespace tributary

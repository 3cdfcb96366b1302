// _IntegerToHashBucket: integers to [0, num_buckets) as StringToHashBucketFast of their
// decimal digits (AsString), without making strings.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/math/number.h"
#include "ops/string/fingerprint.h"
#include "ops/feature_ops.h"

namespace tributary {
namespace {

std::unique_ptr<Kernel> MakeHash(PrepareContext& c) {
  const auto buckets = static_cast<uint64_t>(c.attr<int64_t>("num_buckets"));
  const int64_t count = c.in_shape(0).NumElements();
  return DispatchIndex(c.in_dtype(0), "_IntegerToHashBucket", [&](auto zero) {
    using T = decltype(zero);
    return std::unique_ptr<Kernel>(MakeKernel([buckets, count](const LaunchArgs& args) {
      const T* in = static_cast<const T*>(args.in[0]);
      auto* out = static_cast<int64_t*>(args.out[0]);
      for (int64_t i = 0; i < count; ++i) {
        out[i] = static_cast<int64_t>(Fingerprint64OfInteger(in[i]) % buckets);
      }
    }));
  });
}

REGISTER_OP("_IntegerToHashBucket")
    .Input("input: T")
    .Output("output: int64")
    .Attr("num_buckets: int >= 1")
    .Attr("T: {int32, int64}")
    .Shape(ops::UnchangedShape)
    .NotDifferentiable()
    .Samples([] {
      return std::vector<OpSample>{
          {{Tensor::FromVector<int64_t>({0, -5, 1234567890123}, {3, 1})}, {{"num_buckets", 7}}},
          {{Tensor::FromVector<int32_t>({7})}, {{"num_buckets", 1000}}}};
    });
REGISTER_KERNEL("_IntegerToHashBucket", DeviceType::kCpu, {DType::kInt32, DType::kInt64},
                MakeHash);

}  // namespace

namespace ops {

Tensor IntegerToHashBucket(const Tensor& input, int64_t num_buckets) {
  return Execute1("_IntegerToHashBucket", {input}, {{"num_buckets", num_buckets}});
}

}  // namespace ops
}  // namespace tributary

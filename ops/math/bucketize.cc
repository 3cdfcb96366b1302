// Bucketize: the number of boundaries that a value has reached.

#include <algorithm>

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/feature_ops.h"

namespace tributary {
namespace {

template <typename T>
std::unique_ptr<Kernel> MakeBucketizeOf(const std::vector<float>& boundaries, int64_t count) {
  return MakeKernel([boundaries, count](const LaunchArgs& args) {
    const T* in = static_cast<const T*>(args.in[0]);
    auto* out = static_cast<int32_t*>(args.out[0]);
    for (int64_t i = 0; i < count; ++i) {
      // As TensorFlow's kernel: a NaN is above all.
      const auto above = std::upper_bound(boundaries.begin(), boundaries.end(), in[i]);
      out[i] = static_cast<int32_t>(above - boundaries.begin());
    }
  });
}

std::unique_ptr<Kernel> MakeBucketize(PrepareContext& c) {
  const std::vector<float> boundaries = c.attr<std::vector<float>>("boundaries");
  if (!std::is_sorted(boundaries.begin(), boundaries.end())) {
    throw InvalidArgumentError("[Bucketize] boundaries must ascend");
  }
  const int64_t count = c.in_shape(0).NumElements();
  switch (c.in_dtype(0)) {
    case DType::kFloat32: return MakeBucketizeOf<float>(boundaries, count);
    case DType::kFloat64: return MakeBucketizeOf<double>(boundaries, count);
    case DType::kInt32: return MakeBucketizeOf<int32_t>(boundaries, count);
    default: return MakeBucketizeOf<int64_t>(boundaries, count);
  }
}

REGISTER_OP("Bucketize")
    .Input("input: T")
    .Output("output: int32")
    .Attr("T: {int32, int64, float32, float64}")
    .Attr("boundaries: list(float)")
    .Shape(ops::UnchangedShape)
    .NotDifferentiable()
    .Samples([] {
      const std::vector<float> at = {-1, 0.5, 3};
      return std::vector<OpSample>{
          {{Tensor::FromVector<float>({-2, -1, 0.5, 7, 0}, {5, 1})}, {{"boundaries", at}}},
          {{Tensor::FromVector<int64_t>({-1, 0, 3})}, {{"boundaries", at}}}};
    });
REGISTER_KERNEL("Bucketize", DeviceType::kCpu,
                {DType::kFloat32, DType::kFloat64, DType::kInt32, DType::kInt64}, MakeBucketize);

}  // namespace

namespace ops {

Tensor Bucketize(const Tensor& input, const std::vector<float>& boundaries) {
  return Execute1("Bucketize", {input}, {{"boundaries", boundaries}});
}

}  // namespace ops
}  // namespace tributary

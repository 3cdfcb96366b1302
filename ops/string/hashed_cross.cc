// _HashedCross: crosses of features, hashed into [0, num_buckets). Element i of the
// output stands for the combination of element i of all inputs
// (tf.sparse.cross_hashed on dense columns with one value an example).

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/string/fingerprint.h"
#include "ops/feature_ops.h"

namespace tributary {
namespace {

// tf.sparse.cross_hashed's default key.
constexpr uint64_t kHashKey = 0xDECAFCAFFE;

uint64_t ValueAt(const void* data, DType dtype, int64_t i) {
  switch (dtype) {
    case DType::kString: return Fingerprint64(static_cast<const std::string*>(data)[i]);
    case DType::kInt32: return static_cast<uint64_t>(int64_t{static_cast<const int32_t*>(data)[i]});
    default: return static_cast<uint64_t>(static_cast<const int64_t*>(data)[i]);
  }
}

void CrossShape(InferenceContext& c) {
  if (c.num_inputs() == 0) throw InvalidArgumentError("[{}] there is nothing to cross", c.op());
  Shape shape = c.shape(0);
  for (int i = 0; i < c.num_inputs(); ++i) {
    const DType dtype = c.dtype(i);
    if (dtype != DType::kString && dtype != DType::kInt32 && dtype != DType::kInt64) {
      throw InvalidArgumentError("[{}] input {} is {}; expected string, int32 or int64", c.op(),
                                 i, DTypeName(dtype));
    }
    shape = ops::MergeShapes(c, shape, c.shape(i));
  }
  c.set_output(0, shape);
}

std::unique_ptr<Kernel> MakeCross(PrepareContext& c) {
  const auto buckets = static_cast<uint64_t>(c.attr<int64_t>("num_buckets"));
  std::vector<DType> dtypes;
  for (int i = 0; i < c.num_inputs(); ++i) dtypes.push_back(c.in_dtype(i));
  return MakeKernel([buckets, dtypes, count = c.out_shape(0).NumElements()](
                        const LaunchArgs& args) {
    auto* out = static_cast<int64_t*>(args.out[0]);
    for (int64_t i = 0; i < count; ++i) {
      uint64_t hash = kHashKey;
      for (size_t k = 0; k < dtypes.size(); ++k) {
        hash = FingerprintCat64(hash, ValueAt(args.in[k], dtypes[k], i));
      }
      out[i] = static_cast<int64_t>(hash % buckets);
    }
  });
}

REGISTER_OP("_HashedCross")
    .Input("inputs: Tin")
    .Output("output: int64")
    .Attr("Tin: list(type)")
    .Attr("num_buckets: int >= 1")
    .Shape(CrossShape)
    .NotDifferentiable()
    .Samples([] {
      const Tensor words = Tensor::FromVector<std::string>({"a", "", "Masters"});
      const Tensor numbers = Tensor::FromVector<int64_t>({0, -1, 7});
      return std::vector<OpSample>{
          {{words, numbers}, {{"num_buckets", 7}}},
          {{Tensor::FromVector<int32_t>({2, 3}, {2, 1})}, {{"num_buckets", 1}}}};
    });
REGISTER_KERNEL("_HashedCross", DeviceType::kCpu, {}, MakeCross);

}  // namespace

namespace ops {

Tensor HashedCross(const std::vector<Tensor>& inputs, int64_t num_buckets) {
  return Execute1("_HashedCross", inputs, {{"num_buckets", num_buckets}});
}

}  // namespace ops
}  // namespace tributary

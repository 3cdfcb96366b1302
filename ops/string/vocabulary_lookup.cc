// _VocabularyLookup: the place of each key in a vocabulary, behind num_oov_indices ids for
// those that are not in it (what keras.layers.StringLookup and IntegerLookup compute).

#include <unordered_map>

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/string/fingerprint.h"
#include "ops/feature_ops.h"

namespace tributary {
namespace {

uint64_t Bucket(const std::string& key, uint64_t buckets) { return Fingerprint64(key) % buckets; }
uint64_t Bucket(int64_t key, uint64_t buckets) {
  const int64_t rest = key % static_cast<int64_t>(buckets);  // tf.math.floormod
  return static_cast<uint64_t>(rest < 0 ? rest + static_cast<int64_t>(buckets) : rest);
}

template <typename T>
std::unique_ptr<Kernel> MakeLookupOf(const Tensor& vocabulary, int64_t oov, int64_t count) {
  std::unordered_map<T, int64_t> ids;
  ids.reserve(vocabulary.NumElements());
  const auto words = vocabulary.values<T>();
  for (size_t i = 0; i < words.size(); ++i) {
    if (!ids.emplace(words[i], oov + static_cast<int64_t>(i)).second) {
      throw InvalidArgumentError("[_VocabularyLookup] '{}' stands twice in the vocabulary",
                                 words[i]);
    }
  }
  return MakeKernel([ids = std::move(ids), oov, count](const LaunchArgs& args) {
    const T* keys = static_cast<const T*>(args.in[0]);
    auto* out = static_cast<int64_t*>(args.out[0]);
    for (int64_t i = 0; i < count; ++i) {
      const auto found = ids.find(keys[i]);
      if (found != ids.end()) {
        out[i] = found->second;
      } else if (oov > 0) {
        out[i] = static_cast<int64_t>(Bucket(keys[i], static_cast<uint64_t>(oov)));
      } else {
        throw InvalidArgumentError("[_VocabularyLookup] '{}' at {} is not in the vocabulary, and "
                                   "there is no id for unknown values (num_oov_indices is 0)",
                                   keys[i], i);
      }
    }
  });
}

void LookupShape(InferenceContext& c) {
  c.RequireRank(1, 1, "vocabulary");
  c.set_output(0, c.shape(0));
}

std::unique_ptr<Kernel> MakeLookup(PrepareContext& c) {
  const Tensor* vocabulary = c.constant(1);
  if (!vocabulary) {
    throw InvalidArgumentError("[_VocabularyLookup] the vocabulary must be constant");
  }
  const int64_t oov = c.attr<int64_t>("num_oov_indices"), count = c.in_shape(0).NumElements();
  return c.in_dtype(0) == DType::kString ? MakeLookupOf<std::string>(*vocabulary, oov, count)
                                         : MakeLookupOf<int64_t>(*vocabulary, oov, count);
}

REGISTER_OP("_VocabularyLookup")
    .Input("keys: T")
    .Input("vocabulary: T")
    .Output("ids: int64")
    .Attr("T: {string, int64}")
    .Attr("num_oov_indices: int >= 0 = 1")
    .Shape(LookupShape)
    .NotDifferentiable()
    .Samples([] {
      const Tensor words = Tensor::FromVector<std::string>({"b", "?", "a", "b"}, {2, 2});
      const Tensor numbers = Tensor::FromVector<int64_t>({30, 10, -3});
      return std::vector<OpSample>{
          {{words, Tensor::FromVector<std::string>({"a", "b"})}, {{"num_oov_indices", 1}}},
          {{numbers, Tensor::FromVector<int64_t>({10, 20, 30})}, {{"num_oov_indices", 2}}}};
    });
REGISTER_KERNEL("_VocabularyLookup", DeviceType::kCpu, {DType::kString, DType::kInt64}, MakeLookup);

}  // namespace

namespace ops {

Tensor VocabularyLookup(const Tensor& keys, const Tensor& vocabulary, int64_t num_oov_indices) {
  return Execute1("_VocabularyLookup", {keys, vocabulary},
                  {{"num_oov_indices", num_oov_indices}});
}

}  // namespace ops
}  // namespace tributary

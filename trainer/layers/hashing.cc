// Hashing and HashedCrossing: categories as buckets of their fingerprints
// (keras.layers; equal values).

#include "ops/feature_ops.h"
#include "trainer/layers/categorical.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

class Hashing final : public Layer, public Categorical {
 public:
  explicit Hashing(const Options& o) : Layer(o), bins_(o.Int("num_bins")) {}

  bool IsRowFunction() const override { return true; }
  int64_t num_ids() const override { return bins_; }
  DType ComputeOutputDType(const std::vector<DType>&) const override { return DType::kInt64; }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    const Tensor& x = inputs[0];
    if (x.dtype() == DType::kString) return ops::StringToHashBucketFast(x, bins_);
    if (IsInteger(x.dtype())) return ops::IntegerToHashBucket(x, bins_);
    throw InvalidArgumentError("[Hashing] layer '{}' takes string, int32 or int64, got {}",
                               name(), DTypeName(x.dtype()));
  }

 private:
  int64_t bins_;
};

class HashedCrossing final : public Layer, public Categorical {
 public:
  explicit HashedCrossing(const Options& o) : Layer(o), bins_(o.Int("num_bins")) {}

  bool IsRowFunction() const override { return true; }
  int64_t num_ids() const override { return bins_; }
  DType ComputeOutputDType(const std::vector<DType>&) const override { return DType::kInt64; }

 protected:
  void CheckInputCount(size_t count) const override {
    if (count < 2) {
      throw InvalidArgumentError("[HashedCrossing] layer '{}' takes two or more inputs, got {}",
                                 name(), count);
    }
  }
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    return ops::HashedCross(inputs, bins_);
  }

 private:
  int64_t bins_;
};

OptionSpec Bins() {
  return Opt("num_bins").Int().Min(1).Required().Doc("how many different ids there are");
}

REGISTER_LAYER(LayerTable("Hashing", "Words or integers to hash buckets.", {Bins()}),
               [](const Options& o) { return std::make_shared<Hashing>(o); });
REGISTER_LAYER(LayerTable("HashedCrossing", "Combinations of categories to hash buckets.",
                          {Bins()}),
               [](const Options& o) { return std::make_shared<HashedCrossing>(o); });

}  // namespace
}  // namespace tributary

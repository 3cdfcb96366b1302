// Discretization: numbers to the ranges they fall into (keras.layers.Discretization).

#include <algorithm>
#include <cmath>

#include "ops/array_ops.h"
#include "ops/feature_ops.h"
#include "trainer/layers/categorical.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

class Discretization final : public Layer, public Categorical {
 public:
  explicit Discretization(const Options& o)
      : Layer(o), bins_(o.Has("num_bins") ? o.Int("num_bins") : 0) {
    if (o.Has("bin_boundaries") == o.Has("num_bins")) {
      throw InvalidArgumentError("[Discretization] layer '{}' takes bin_boundaries or num_bins, "
                                 "one of the two",
                                 name());
    }
    if (!o.Has("bin_boundaries")) return;
    for (const double b : o.Floats("bin_boundaries")) {
      boundaries_.push_back(static_cast<float>(b));
    }
    if (std::ranges::adjacent_find(boundaries_, std::greater_equal<>()) != boundaries_.end()) {
      throw InvalidArgumentError("[Discretization] layer '{}': bin_boundaries must ascend",
                                 name());
    }
    bins_ = static_cast<int64_t>(boundaries_.size()) + 1;
  }

  bool IsRowFunction() const override { return true; }
  bool NeedsAdapt() const override { return bins_ > 1 && boundaries_.empty(); }
  // Boundaries between equally many of the values; of equal ones, one.
  void Adapt(const std::vector<Tensor>& inputs) override {
    const Tensor x = ops::Cast(inputs[0], DType::kFloat32);
    std::vector<float> values = x.ToVector<float>();
    std::erase_if(values, [](float v) { return std::isnan(v); });
    if (values.empty()) {
      throw InvalidArgumentError("[Discretization] layer '{}': no value to learn from", name());
    }
    std::ranges::sort(values);
    for (int64_t i = 1; i < bins_; ++i) {
      const float boundary = values[values.size() * i / bins_];
      if (boundaries_.empty() || boundary > boundaries_.back()) boundaries_.push_back(boundary);
    }
  }
  int64_t num_ids() const override { return bins_; }
  DType ComputeOutputDType(const std::vector<DType>&) const override { return DType::kInt64; }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    if (NeedsAdapt()) {
      throw FailedPreconditionError("[Discretization] layer '{}' has not learnt its boundaries "
                                    "yet; set bin_boundaries, or let it adapt",
                                    name());
    }
    return ops::Cast(ops::Bucketize(inputs[0], boundaries_), DType::kInt64);
  }

 private:
  int64_t bins_;
  std::vector<float> boundaries_;
};

REGISTER_LAYER(
    LayerTable("Discretization", "Numbers to the ranges that they fall into.",
               {Opt("bin_boundaries").Float().List(1, 10000).Doc(
                    "ascending; a range starts at its boundary"),
                Opt("num_bins").Int().Min(1).Max(10001).Doc(
                    "so many ranges that hold equally many values of data.train")}),
    [](const Options& o) { return std::make_shared<Discretization>(o); });

}  // namespace
}  // namespace tributary

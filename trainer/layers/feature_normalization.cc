// Normalization and Log1p: numbers as networks like them (keras.layers.Normalization).

#include <cmath>

#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

class Normalization final : public Layer {
 public:
  explicit Normalization(const Options& o) : Layer(o) {
    if (o.Has("mean") != o.Has("variance")) {
      throw InvalidArgumentError("[Normalization] layer '{}': give mean and variance, or neither",
                                 name());
    }
    if (!o.Has("mean")) return;
    mean_ = o.Floats("mean");
    variance_ = o.Floats("variance");
    if (mean_.size() != variance_.size()) {
      throw InvalidArgumentError("[Normalization] layer '{}': {} means and {} variances", name(),
                                 mean_.size(), variance_.size());
    }
  }

  bool IsRowFunction() const override { return true; }
  bool NeedsAdapt() const override { return mean_.empty(); }
  void Adapt(const std::vector<Tensor>& inputs) override {
    const Tensor x = ops::Cast(inputs[0], DType::kFloat32);
    const int64_t width = Width(x.shape());
    const auto values = x.values<float>();
    const double rows = static_cast<double>(values.size()) / static_cast<double>(width);
    mean_.assign(width, 0);
    variance_.assign(width, 0);
    for (size_t i = 0; i < values.size(); ++i) mean_[i % width] += values[i] / rows;
    for (size_t i = 0; i < values.size(); ++i) {
      const double apart = values[i] - mean_[i % width];
      variance_[i % width] += apart * apart / rows;
    }
  }
  DType ComputeOutputDType(const std::vector<DType>&) const override { return DType::kFloat32; }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    if (NeedsAdapt()) {
      throw FailedPreconditionError("[Normalization] layer '{}' does not know mean and variance "
                                    "yet; set them, or let it adapt",
                                    name());
    }
    const int64_t width = Width(inputs[0].shape());
    if (mean_.size() != 1 && static_cast<int64_t>(mean_.size()) != width) {
      throw InvalidArgumentError("[Normalization] layer '{}' has {} means for inputs of shape {}",
                                 name(), mean_.size(), inputs[0].shape().ToString());
    }
    std::vector<float> mean, scale;
    for (size_t i = 0; i < mean_.size(); ++i) {
      mean.push_back(static_cast<float>(mean_[i]));
      scale.push_back(static_cast<float>(1 / std::max(std::sqrt(variance_[i]), 1e-7)));
    }
    const Tensor x = ops::Cast(inputs[0], DType::kFloat32);
    return ops::Mul(ops::Sub(x, Tensor::FromVector(mean)), Tensor::FromVector(scale));
  }

 private:
  // A row of rank 0 is one number.
  int64_t Width(const Shape& shape) const {
    return shape.rank() < 2 ? 1 : layers::LastDim(*this, shape);
  }
  std::vector<double> mean_, variance_;
};

class Log1p final : public Layer {
 public:
  explicit Log1p(const Options& o) : Layer(o) {}
  bool IsRowFunction() const override { return true; }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    return ops::Log1p(ops::Maximum(inputs[0], ops::ScalarLike(inputs[0], 0)));
  }
};

REGISTER_LAYER(
    LayerTable("Normalization", "Numbers less their mean, over their standard deviation.",
               {Opt("mean").Float().List(1, OptionSpec::kMaxListLength).Doc(
                    "of each element of the last axis, or one; learnt from data.train unless set"),
                Opt("variance").Float().Min(0).List(1, OptionSpec::kMaxListLength)}),
    [](const Options& o) { return std::make_shared<Normalization>(o); });
REGISTER_LAYER(LayerTable("Log1p", "The logarithm of 1 + x, of 1 for negative numbers.", {}),
               [](const Options& o) { return std::make_shared<Log1p>(o); });

}  // namespace
}  // namespace tributary

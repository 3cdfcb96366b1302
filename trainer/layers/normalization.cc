// BatchNormalization and LayerNormalization over the last axis (keras.layers).

#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/nn_ops.h"
#include "ops/state_ops.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

using namespace layers;

class BatchNormalization final : public Layer {
 public:
  explicit BatchNormalization(const Options& o)
      : Layer(o), momentum_(o.Float("momentum")), epsilon_(o.Float("epsilon")) {}

 protected:
  void Build(const std::vector<Shape>& inputs) override {
    const Options& o = get_config();
    const Shape shape{LastDim(*this, inputs[0])};
    if (o.Bool("scale")) gamma_ = AddWeight("gamma", shape, *From("gamma_initializer"), {});
    if (o.Bool("center")) beta_ = AddWeight("beta", shape, *From("beta_initializer"), {});
    mean_ = AddWeight("moving_mean", shape, *From("moving_mean_initializer"),
                      {.trainable = false});
    variance_ = AddWeight("moving_variance", shape, *From("moving_variance_initializer"),
                          {.trainable = false});
  }

  Tensor Call(const std::vector<Tensor>& inputs, CallContext& context) override {
    const Tensor& x = inputs[0];
    const int64_t channels = mean_->shape()[0];
    const Tensor gamma =
        gamma_ ? gamma_->value() : Tensor::Full<float>({channels}, 1);
    const Tensor beta = beta_ ? beta_->value() : Tensor::Zeros(DType::kFloat32, {channels});
    if (!context.training() || !trainable()) {
      return ops::FusedBatchNorm(x, gamma, beta, mean_->value(), variance_->value(), epsilon_,
                                 false)[0];
    }
    const Tensor none = Tensor::Empty(DType::kFloat32, {0});
    const std::vector<Tensor> out =
        ops::FusedBatchNorm(x, gamma, beta, none, none, epsilon_, true);
    // Keras keeps the plain variance; the op corrects it for the sample's size.
    const double n = static_cast<double>(x.NumElements()) / channels;
    const Tensor mean = out[1];
    const Tensor variance = ops::Mul(out[2], Tensor(static_cast<float>((n - 1) / n)));
    context.AddUpdate([this, mean, variance] {
      Blend(mean_, mean);
      Blend(variance_, variance);
    });
    return out[0];
  }

 private:
  std::shared_ptr<Initializer> From(const char* option) const {
    return InitializerFrom(get_config(), option);
  }
  // moving = moving * momentum + batch * (1 - momentum)
  void Blend(const VariablePtr& moving, const Tensor& batch) {
    ops::AssignVariableOp(moving->handle(),
                          ops::Add(ops::Mul(moving->value(), Tensor(momentum_)),
                                   ops::Mul(batch, Tensor(1 - momentum_))));
  }

  float momentum_, epsilon_;
  VariablePtr gamma_, beta_, mean_, variance_;
};

class LayerNormalization final : public Layer {
 public:
  explicit LayerNormalization(const Options& o) : Layer(o), epsilon_(o.Float("epsilon")) {}

 protected:
  void Build(const std::vector<Shape>& inputs) override {
    const Options& o = get_config();
    const Shape shape{LastDim(*this, inputs[0])};
    if (o.Bool("scale")) {
      gamma_ = AddWeight("gamma", shape, *InitializerFrom(o, "gamma_initializer"), {});
    }
    if (o.Bool("center")) {
      beta_ = AddWeight("beta", shape, *InitializerFrom(o, "beta_initializer"), {});
    }
  }

  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    const int64_t width = inputs[0].dim(-1);
    return ops::LayerNorm(
        inputs[0], gamma_ ? gamma_->value() : Tensor::Full<float>({width}, 1),
        beta_ ? beta_->value() : Tensor::Zeros(DType::kFloat32, {width}), epsilon_);
  }

 private:
  float epsilon_;
  VariablePtr gamma_, beta_;
};

std::vector<OptionSpec> CommonOptions() {
  return {Opt("epsilon").Float().Above(0).Default(1e-3), Opt("center").Bool().Default(true),
          Opt("scale").Bool().Default(true), InitializerOption("beta_initializer", "Zeros"),
          InitializerOption("gamma_initializer", "Ones")};
}

std::vector<OptionSpec> BatchNormOptions() {
  std::vector<OptionSpec> options = CommonOptions();
  options.insert(options.begin(), Opt("momentum").Float().Min(0).Max(1).Default(0.99));
  options.push_back(InitializerOption("moving_mean_initializer", "Zeros"));
  options.push_back(InitializerOption("moving_variance_initializer", "Ones"));
  return options;
}

REGISTER_LAYER(
    LayerTable("BatchNormalization",
               "Normalises each channel over the batch, and over its moving average later.",
               BatchNormOptions()),
    [](const Options& o) { return std::make_shared<BatchNormalization>(o); });
REGISTER_LAYER(LayerTable("LayerNormalization", "Normalises the last axis of each row.",
                          CommonOptions()),
               [](const Options& o) { return std::make_shared<LayerNormalization>(o); });

}  // namespace
}  // namespace tributary

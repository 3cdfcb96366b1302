// Dense: activation(x * kernel + bias) along the last axis (keras.layers.Dense).

#include "ops/array_ops.h"
#include "ops/nn_ops.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

using namespace layers;

class Dense final : public Layer {
 public:
  explicit Dense(const Options& o)
      : Layer(o), units_(o.Int("units")), activation_(ActivationFrom(o)) {}

  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    Shape shape = inputs[0];
    if (shape.rank() > 0) shape.set_dim(-1, units_);
    return shape;
  }

 protected:
  void Build(const std::vector<Shape>& inputs) override {
    if (inputs[0].rank() < 2) {
      throw InvalidArgumentError("[Dense] layer '{}' takes inputs of rank 2 or more, got {}",
                                 name(), inputs[0].ToString());
    }
    const Options& o = get_config();
    kernel_ = AddWeight("kernel", {LastDim(*this, inputs[0]), units_},
                        *InitializerFrom(o, "kernel_initializer"),
                        {.regularizer = RegularizerFrom(o, "kernel_regularizer"),
                         .attribute = "_kernel"});
    if (o.Bool("use_bias")) {
      bias_ = AddWeight("bias", {units_}, *InitializerFrom(o, "bias_initializer"),
                        {.regularizer = RegularizerFrom(o, "bias_regularizer")});
    }
  }

  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    const Tensor& x = inputs[0];
    const bool matrix = x.rank() == 2;
    Tensor y = ops::MatMul(matrix ? x : ops::Reshape(x, {-1, kernel_->shape()[0]}),
                           kernel_->value());
    if (bias_) y = ops::BiasAdd(y, bias_->value());
    if (!matrix) y = ops::Reshape(y, ComputeOutputShape({x.shape()}));
    return activation_(y);
  }

 private:
  int64_t units_;
  ActivationFn activation_;
  VariablePtr kernel_, bias_;
};

REGISTER_LAYER(
    LayerTable("Dense", "A fully connected layer.",
               {Opt("units").Int().Min(1).Required().Doc("size of the output"),
                ActivationOption(), Opt("use_bias").Bool().Default(true),
                InitializerOption("kernel_initializer", "GlorotUniform"),
                InitializerOption("bias_initializer", "Zeros"),
                RegularizerOption("kernel_regularizer"),
                RegularizerOption("bias_regularizer")}),
    [](const Options& o) { return std::make_shared<Dense>(o); });

}  // namespace
}  // namespace tributary

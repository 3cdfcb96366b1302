// Conv2D over NHWC images (keras.layers.Conv2D).

#include "ops/nn_ops.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

using namespace layers;

class Conv2D final : public Layer {
 public:
  explicit Conv2D(const Options& o)
      : Layer(o), filters_(o.Int("filters")), size_(o.Ints("kernel_size")),
        padding_(o.String("padding")), activation_(ActivationFrom(o)) {
    window_.strides = o.Ints("strides");
    window_.dilations = o.Ints("dilation_rate");
    window_.padding = PaddingAttr(padding_);
  }

  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    Shape shape = WindowedImages(*this, "kernel", inputs[0], size_, window_.strides, padding_,
                                 window_.dilations);
    shape.set_dim(3, filters_);
    return shape;
  }

 protected:
  void Build(const std::vector<Shape>& inputs) override {
    RequireRank(*this, inputs[0], 4);
    const Options& o = get_config();
    kernel_ = AddWeight("kernel", {size_[0], size_[1], LastDim(*this, inputs[0]), filters_},
                        *InitializerFrom(o, "kernel_initializer"),
                        {.regularizer = RegularizerFrom(o, "kernel_regularizer"),
                         .attribute = "_kernel"});
    if (o.Bool("use_bias")) {
      bias_ = AddWeight("bias", {filters_}, *InitializerFrom(o, "bias_initializer"),
                        {.regularizer = RegularizerFrom(o, "bias_regularizer")});
    }
  }

  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    Tensor y = ops::Conv2D(inputs[0], kernel_->value(), window_);
    if (bias_) y = ops::BiasAdd(y, bias_->value());
    return activation_(y);
  }

 private:
  int64_t filters_;
  std::vector<int64_t> size_;
  std::string padding_;
  ops::Window window_;
  ActivationFn activation_;
  VariablePtr kernel_, bias_;
};

REGISTER_LAYER(
    LayerTable("Conv2D", "A 2-D convolution over images (NHWC).",
               {Opt("filters").Int().Min(1).Required().Doc("channels of the output"),
                Opt("kernel_size").Int().Min(1).List(2).Required(),
                Opt("strides").Int().Min(1).List(2).Default(1),
                Opt("padding").OneOf({"valid", "same"}).Default("valid"),
                Opt("dilation_rate").Int().Min(1).List(2).Default(1), ActivationOption(),
                Opt("use_bias").Bool().Default(true),
                InitializerOption("kernel_initializer", "GlorotUniform"),
                InitializerOption("bias_initializer", "Zeros"),
                RegularizerOption("kernel_regularizer"),
                RegularizerOption("bias_regularizer")}),
    [](const Options& o) { return std::make_shared<Conv2D>(o); });

}  // namespace
}  // namespace tributary

// DepthwiseConv2D over NHWC images (keras.layers.DepthwiseConv2D).

#include "ops/nn_ops.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

using namespace layers;

class DepthwiseConv2D final : public Layer {
 public:
  explicit DepthwiseConv2D(const Options& o)
      : Layer(o), size_(o.Ints("kernel_size")), multiplier_(o.Int("depth_multiplier")),
        padding_(o.String("padding")), activation_(ActivationFrom(o)) {
    window_.strides = o.Ints("strides");
    window_.dilations = o.Ints("dilation_rate");
    window_.padding = PaddingAttr(padding_);
  }

  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    Shape shape = WindowedImages(*this, "kernel", inputs[0], size_, window_.strides, padding_,
                                 window_.dilations);
    if (shape[3] >= 0) shape.set_dim(3, shape[3] * multiplier_);
    return shape;
  }

 protected:
  void Build(const std::vector<Shape>& inputs) override {
    RequireRank(*this, inputs[0], 4);
    const Options& o = get_config();
    const int64_t channels = LastDim(*this, inputs[0]);
    kernel_ = AddWeight("kernel", {size_[0], size_[1], channels, multiplier_},
                        *InitializerFrom(o, "depthwise_initializer"),
                        {.regularizer = RegularizerFrom(o, "depthwise_regularizer")});
    if (o.Bool("use_bias")) {
      bias_ = AddWeight("bias", {channels * multiplier_}, *InitializerFrom(o, "bias_initializer"),
                        {.regularizer = RegularizerFrom(o, "bias_regularizer")});
    }
  }

  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    Tensor y = ops::DepthwiseConv2D(inputs[0], kernel_->value(), window_);
    if (bias_) y = ops::BiasAdd(y, bias_->value());
    return activation_(y);
  }

 private:
  std::vector<int64_t> size_;
  int64_t multiplier_;
  std::string padding_;
  ops::Window window_;
  ActivationFn activation_;
  VariablePtr kernel_, bias_;
};

REGISTER_LAYER(
    LayerTable("DepthwiseConv2D", "A 2-D convolution of each channel by filters of its own.",
               {Opt("kernel_size").Int().Min(1).List(2).Required(),
                Opt("strides").Int().Min(1).List(2).Default(1),
                Opt("padding").OneOf({"valid", "same"}).Default("valid"),
                Opt("depth_multiplier").Int().Min(1).Default(1).Doc("filters a channel"),
                Opt("dilation_rate").Int().Min(1).List(2).Default(1), ActivationOption(),
                Opt("use_bias").Bool().Default(true),
                InitializerOption("depthwise_initializer", "GlorotUniform"),
                InitializerOption("bias_initializer", "Zeros"),
                RegularizerOption("depthwise_regularizer"),
                RegularizerOption("bias_regularizer")}),
    [](const Options& o) { return std::make_shared<DepthwiseConv2D>(o); });

}  // namespace
}  // namespace tributary

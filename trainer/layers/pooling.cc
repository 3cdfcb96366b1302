// MaxPooling2D, AveragePooling2D, GlobalAveragePooling2D (keras.layers).

#include "ops/math_ops.h"
#include "ops/nn_ops.h"
#include "trainer/layers/options.h"

namespace tributary {
namespace {

using namespace layers;

using PoolFn = Tensor (*)(const Tensor&, const std::vector<int64_t>&,
                          const std::vector<int64_t>&, const std::string&);

class Pooling2D final : public Layer {
 public:
  Pooling2D(const Options& o, PoolFn pool)
      : Layer(o), pool_(pool), size_(o.Ints("pool_size")),
        strides_(o.Has("strides") ? o.Ints("strides") : size_),
        padding_(o.String("padding")) {}

  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    return WindowedImages(*this, "window", inputs[0], size_, strides_, padding_);
  }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    return pool_(inputs[0], size_, strides_, PaddingAttr(padding_));
  }

 private:
  PoolFn pool_;
  std::vector<int64_t> size_, strides_;
  std::string padding_;
};

class GlobalAveragePooling2D final : public Layer {
 public:
  explicit GlobalAveragePooling2D(const Options& o) : Layer(o), keep_(o.Bool("keepdims")) {}

  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    RequireRank(*this, inputs[0], 4);
    const Shape& in = inputs[0];
    return keep_ ? Shape{in[0], 1, 1, in[3]} : Shape{in[0], in[3]};
  }

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    return ops::Mean(inputs[0], {1, 2}, keep_);
  }

 private:
  bool keep_;
};

std::vector<OptionSpec> PoolingOptions() {
  return {Opt("pool_size").Int().Min(1).List(2).Default(2),
          Opt("strides").Int().Min(1).List(2).Doc("pool_size unless set"),
          Opt("padding").OneOf({"valid", "same"}).Default("valid")};
}

REGISTER_LAYER(LayerTable("MaxPooling2D", "The largest of each window.", PoolingOptions()),
               [](const Options& o) { return std::make_shared<Pooling2D>(o, ops::MaxPool); });
REGISTER_LAYER(LayerTable("AveragePooling2D", "The mean of each window.", PoolingOptions()),
               [](const Options& o) { return std::make_shared<Pooling2D>(o, ops::AvgPool); });
REGISTER_LAYER(LayerTable("GlobalAveragePooling2D", "The mean of each channel.",
                          {Opt("keepdims").Bool().Default(false)}),
               [](const Options& o) { return std::make_shared<GlobalAveragePooling2D>(o); });

}  // namespace
}  // namespace tributary

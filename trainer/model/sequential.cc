#include "trainer/model/input_layer.h"
#include "trainer/model/model.h"
#include "trainer/model/names.h"

namespace tributary {
namespace {

class SequentialModel final : public Sequential {
 public:
  explicit SequentialModel(Options options) : Sequential(std::move(options)) {}

  void Add(LayerPtr layer) override {
    if (built()) {
      throw FailedPreconditionError("[Sequential] '{}' is built; layers can't be added",
                                    name());
    }
    names_.Take(*layer);
    if (auto input = std::dynamic_pointer_cast<InputLayer>(layer)) {
      if (!layers_.empty() || input_) {
        throw InvalidArgumentError("[Sequential] Input must come first, and once, in '{}'",
                                   name());
      }
      input_ = input;
      return;
    }
    layers_.push_back(std::move(layer));
  }

  std::vector<LayerPtr> layers() const override { return layers_; }

  std::vector<TensorSpec> input_specs() const override {
    if (input_) return {input_->spec()};
    if (built()) return {{dtype_, OpenBatch(input_shapes()[0]), DType::kInvalid}};
    return {};
  }

  std::vector<TensorSpec> output_specs() const override {
    const std::vector<TensorSpec> in = input_specs();
    if (in.empty()) return {};
    TensorSpec spec = in[0];
    for (const LayerPtr& layer : layers_) {
      spec.dtype = layer->ComputeOutputDType({spec.dtype});
      spec.shape = layer->ComputeOutputShape({spec.shape});
    }
    return {spec};
  }

  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override {
    Shape shape = inputs[0];
    for (const LayerPtr& layer : layers_) shape = layer->ComputeOutputShape({shape});
    return shape;
  }
  DType ComputeOutputDType(const std::vector<DType>& inputs) const override {
    DType dtype = inputs[0];
    for (const LayerPtr& layer : layers_) dtype = layer->ComputeOutputDType({dtype});
    return dtype;
  }

  void BuildModel(const std::vector<TensorSpec>& inputs) override {
    if (built()) return;
    if (inputs.empty() && !input_) {
      throw FailedPreconditionError(
          "[Sequential] '{}' does not know its input; start it with an Input layer, or call "
          "it on data",
          name());
    }
    const TensorSpec spec = input_ ? input_->spec() : inputs[0];
    if (input_ && !inputs.empty() && !spec.shape.IsCompatibleWith(inputs[0].shape)) {
      throw InvalidArgumentError("[Sequential] '{}' expects {}, got {}", name(),
                                 spec.ToString(), inputs[0].ToString());
    }
    dtype_ = spec.dtype;
    BuildOnce({OpenBatch(spec.shape)}, path());
  }

  std::vector<Tensor> CallAll(const std::vector<Tensor>& inputs,
                              CallContext& context) override {
    if (!built()) BuildModel({inputs.at(0).spec()});
    CheckInputCount(inputs.size());
    return {Call(inputs, context)};
  }

 protected:
  void Build(const std::vector<Shape>& input_shapes) override {
    Shape shape = OpenBatch(input_shapes[0]);
    const std::string prefix = path().empty() ? "" : path() + "/";
    for (const LayerPtr& layer : layers_) {
      layer->BuildOnce({shape}, prefix + layer->name());
      shape = layer->ComputeOutputShape({shape});
    }
  }

  Tensor Call(const std::vector<Tensor>& inputs, CallContext& context) override {
    Tensor x = inputs[0];
    for (const LayerPtr& layer : layers_) x = (*layer)(std::vector<Tensor>{x}, context);
    return x;
  }

 private:
  static Shape OpenBatch(Shape shape) {
    if (shape.rank() > 0) shape.set_dim(0, Shape::kUnknownDim);
    return shape;
  }

  std::shared_ptr<InputLayer> input_;
  std::vector<LayerPtr> layers_;
  internal::LayerNames names_;
  DType dtype_ = DType::kFloat32;
};

}  // namespace

std::shared_ptr<Sequential> Sequential::Make(const std::vector<LayerPtr>& layers,
                                             const std::string& name) {
  OptionNode::Map options;
  if (!name.empty()) options.push_back({"name", name});
  auto model = std::make_shared<SequentialModel>(
      MakeOptions(LayerTable("Sequential", "A stack of layers.", {}), options));
  for (const LayerPtr& layer : layers) model->Add(layer);
  return model;
}

}  // namespace tributary

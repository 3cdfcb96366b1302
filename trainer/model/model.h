#pragma once
// Models: layers composed into one (keras.Model, keras.Sequential).
//
//   auto mlp = Sequential::Make({MakeLayer("Flatten"), MakeLayer("Dense", {{"units", 10}})});
//
//   KerasTensor x = Input({784});
//   KerasTensor h = (*MakeLayer("Dense", {{"units", 64}}))(x);
//   auto model = Model::Make({x}, {h});
//
// Layers without a name are named as Keras does in a fresh process, within their
// model: "dense", "dense_1". A model is itself a layer and may be part of another.

#include <memory>
#include <string>
#include <vector>

#include "trainer/model/layer.h"

namespace tributary {

// The start of a functional model; `shape` without the batch.
KerasTensor Input(const Shape& shape, DType dtype = DType::kFloat32,
                  const std::string& name = "");

class Model;
using ModelPtr = std::shared_ptr<Model>;

class Model : public Layer {
 public:
  // By functional composition. Throws InvalidArgumentError when an output does
  // not depend on the inputs or two layers have one name.
  static ModelPtr Make(const std::vector<KerasTensor>& inputs,
                       const std::vector<KerasTensor>& outputs,
                       const std::string& name = "");

  // All outputs. Concrete tensors compute, symbolic ones trace.
  virtual std::vector<Tensor> CallAll(const std::vector<Tensor>& inputs,
                                      CallContext& context) = 0;

  // In the order of execution; functional models start with their InputLayers.
  virtual std::vector<LayerPtr> layers() const = 0;
  // The layer of this name. Throws NotFoundError with the nearest.
  LayerPtr get_layer(const std::string& name) const;

  // Shapes with an open batch; empty while a Sequential waits for its input.
  virtual std::vector<TensorSpec> input_specs() const = 0;
  virtual std::vector<TensorSpec> output_specs() const = 0;

  // Creates all weights now. Sequential models without an Input need the shape of
  // one element's batch ((-1, 28, 28), or a concrete batch); others may pass {}.
  virtual void BuildModel(const std::vector<TensorSpec>& inputs) = 0;

  // Keras 3's table, 80 columns wide. `optimizer_variables` adds the line
  // "Optimizer params" when not empty.
  std::string summary(const std::vector<VariablePtr>& optimizer_variables = {}) const;

  std::vector<Child> children() const override;
  void set_trainable(bool trainable) override;

 protected:
  explicit Model(Options options) : Layer(std::move(options)) {}
  std::string DefaultPath() const override { return ""; }
};

// A stack of layers with one input and one output each.
class Sequential : public Model {
 public:
  static std::shared_ptr<Sequential> Make(const std::vector<LayerPtr>& layers,
                                          const std::string& name = "");
  // Throws FailedPreconditionError once built.
  virtual void Add(LayerPtr layer) = 0;

 protected:
  using Model::Model;
};

}  // namespace tributary

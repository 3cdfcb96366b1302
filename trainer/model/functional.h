#pragma once
// Functional: a graph of layers (keras.src.models.functional).

#include <map>

#include "trainer/model/input_layer.h"
#include "trainer/model/model.h"
#include "trainer/model/names.h"

namespace tributary {

class Functional final : public Model {
 public:
  using CallPtr = const KerasTensor::Call*;

  Functional(Options options, std::vector<KerasTensor> inputs,
             std::vector<KerasTensor> outputs);

  std::vector<LayerPtr> layers() const override { return layers_; }
  std::vector<TensorSpec> input_specs() const override;
  std::vector<TensorSpec> output_specs() const override;
  void BuildModel(const std::vector<TensorSpec>& inputs) override;
  std::vector<Tensor> CallAll(const std::vector<Tensor>& inputs, CallContext& context) override;
  Shape ComputeOutputShape(const std::vector<Shape>& inputs) const override;
  DType ComputeOutputDType(const std::vector<DType>& inputs) const override;

  // For summary().
  // Every depth has one call of one input, and no layer is called twice.
  bool IsLikeSequential() const;
  // "dense[0][0], input_layer[0][0]" or "-".
  std::string ConnectionsOf(const Layer& layer) const;
  Shape OutputShapeOf(const Layer& layer) const;

  // --- Feeding further in ----------------------------------------------------------
  struct Node {
    const KerasTensor* tensor = nullptr;  // what the call returned
    CallPtr call = nullptr;
    int depth = 0;
  };
  // Every call, those of inputs before their users.
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<KerasTensor>& outputs() const { return outputs_; }
  // From now on the model is given the values of these tensors instead of its inputs:
  // what they were made of is computed elsewhere. Before the model is built. Throws
  // InvalidArgumentError when an output can't be computed from them.
  void FeedAt(const std::vector<KerasTensor>& tensors);

 protected:
  void Build(const std::vector<Shape>& input_shapes) override;
  Tensor Call(const std::vector<Tensor>& inputs, CallContext& context) override;
  void CheckInputCount(size_t count) const override;

 private:
  void Visit(const KerasTensor& tensor, std::map<const Layer*, int>& first_seen);
  void SortByDepth(const std::map<const Layer*, int>& first_seen);

  const std::vector<KerasTensor>& fed() const { return feeds_.empty() ? inputs_ : feeds_; }

  std::vector<KerasTensor> inputs_, outputs_;
  std::vector<KerasTensor> feeds_;  // empty: inputs_
  std::vector<bool> computed_;      // by node, with feeds_
  std::vector<Node> nodes_;  // inputs before their users
  std::map<CallPtr, size_t> index_;
  std::vector<LayerPtr> layers_;
};

}  // namespace tributary

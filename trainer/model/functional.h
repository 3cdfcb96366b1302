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

 protected:
  void Build(const std::vector<Shape>& input_shapes) override;
  Tensor Call(const std::vector<Tensor>& inputs, CallContext& context) override;
  void CheckInputCount(size_t count) const override;

 private:
  struct Node {
    const KerasTensor* tensor = nullptr;  // what the call returned
    CallPtr call = nullptr;
    int depth = 0;
  };
  void Visit(const KerasTensor& tensor, std::map<const Layer*, int>& first_seen);
  void SortByDepth(const std::map<const Layer*, int>& first_seen);

  std::vector<KerasTensor> inputs_, outputs_;
  std::vector<Node> nodes_;  // inputs before their users
  std::map<CallPtr, size_t> index_;
  std::vector<LayerPtr> layers_;
};

}  // namespace tributary

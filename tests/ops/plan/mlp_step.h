#pragma once
// A training step of a small classifier, written against the op builders alone.

#include <gtest/gtest.h>

#include "core/runtime/execute.h"
#include "core/runtime/gradients.h"
#include "core/runtime/plan.h"
#include "core/runtime/variable.h"
#include "ops/ops.h"

namespace tributary {

// Inputs -> [MatMul, BiasAdd, Relu] per hidden layer -> logits -> mean sparse
// cross-entropy; stochastic gradient descent on every weight.
class MlpStep {
 public:
  explicit MlpStep(std::vector<int64_t> sizes, float learning_rate = 0.1f)
      : sizes_(std::move(sizes)), learning_rate_(learning_rate) {
    for (size_t i = 0; i + 1 < sizes_.size(); ++i) {
      weights_.push_back(Variable::Create(fmt::format("dense_{}/kernel", i),
                                          Pattern({sizes_[i], sizes_[i + 1]}, 17 + i)));
      biases_.push_back(Variable::Create(fmt::format("dense_{}/bias", i),
                                         Tensor::Zeros(DType::kFloat32, {sizes_[i + 1]})));
    }
  }

  // Numbers in [-0.5, 0.5) that look like noise.
  static Tensor Pattern(const Shape& shape, uint64_t seed) {
    Tensor t = Tensor::Empty(DType::kFloat32, shape);
    float* data = t.mutable_data<float>();
    for (int64_t i = 0; i < t.NumElements(); ++i) {
      seed = seed * 6364136223846793005ull + 1442695040888963407ull;
      data[i] = static_cast<float>(seed >> 40) / 16777216.0f - 0.5f;
    }
    return t;
  }
  static Tensor Labels(int64_t batch, int64_t classes) {
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < batch; ++i) labels.push_back((i * 7 + 3) % classes);
    return Tensor::FromVector(labels);
  }

  Tensor Loss(const Tensor& x, const Tensor& labels) const {
    Tensor h = x;
    for (size_t i = 0; i < weights_.size(); ++i) {
      h = ops::BiasAdd(ops::MatMul(h, weights_[i]->value()), biases_[i]->value());
      if (i + 1 < weights_.size()) h = ops::Relu(h);
    }
    return ops::Mean(ops::SparseSoftmaxCrossEntropyWithLogits(h, labels)[0]);
  }

  // The whole step in a graph; `batch` may be -1.
  void Trace(Graph* graph, int64_t batch) {
    GraphScope scope(graph);
    x_ = graph->Placeholder(DType::kFloat32, {batch, sizes_.front()}, "x");
    labels_ = graph->Placeholder(DType::kInt64, {batch}, "labels");
    loss_ = Loss(x_, labels_);
    std::vector<Tensor> handles;
    for (const auto& v : variables()) handles.push_back(graph->Capture(v));
    const Grads grads = Gradients({loss_}, handles);
    for (size_t i = 0; i < handles.size(); ++i) {
      ops::ResourceApplyGradientDescent(handles[i], Tensor(learning_rate_), grads[i].dense());
    }
    for (const auto& node : graph->nodes()) {
      if (node->schema().stateful && !node->variable()) targets_.push_back(node.get());
    }
  }

  std::unique_ptr<Plan> Build(const Graph& graph, int64_t batch, const PlanOptions& options = {}) {
    return Plan::Build(graph, {x_, labels_},
                       {{DType::kFloat32, {batch, sizes_.front()}}, {DType::kInt64, {batch}}},
                       {loss_}, targets_, options);
  }

  std::vector<std::shared_ptr<Variable>> variables() const {
    std::vector<std::shared_ptr<Variable>> all;
    for (size_t i = 0; i < weights_.size(); ++i) {
      all.push_back(weights_[i]);
      all.push_back(biases_[i]);
    }
    return all;
  }
  std::vector<float> Values() const {
    std::vector<float> values;
    for (const auto& v : variables()) {
      const auto more = v->storage().values<float>();
      values.insert(values.end(), more.begin(), more.end());
    }
    return values;
  }
  float learning_rate() const { return learning_rate_; }

 private:
  std::vector<int64_t> sizes_;
  float learning_rate_;
  std::vector<std::shared_ptr<Variable>> weights_, biases_;
  Tensor x_, labels_, loss_;
  std::vector<Node*> targets_;
};

}  // namespace tributary

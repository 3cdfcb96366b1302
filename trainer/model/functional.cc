#include "trainer/model/functional.h"

namespace tributary {

Functional::Functional(Options options, std::vector<KerasTensor> inputs,
                       std::vector<KerasTensor> outputs)
    : Model(std::move(options)), inputs_(std::move(inputs)), outputs_(std::move(outputs)) {
  std::map<const Layer*, int> first_seen;
  for (const KerasTensor& output : outputs_) Visit(output, first_seen);
  for (const KerasTensor& input : inputs_) {
    if (!index_.contains(input.call.get())) {
      throw InvalidArgumentError("[Model] no output of '{}' depends on input '{}'", name(),
                                 input.call->layer->name());
    }
  }
  SortByDepth(first_seen);
  // Keras names layers when they are made; the nearest thing is when they are
  // first called.
  std::vector<LayerPtr> by_age = layers_;
  std::map<const Layer*, int> age;
  for (const Node& node : nodes_) age.try_emplace(node.call->layer.get(), node.call->id);
  std::ranges::sort(by_age, {}, [&](const LayerPtr& layer) { return age[layer.get()]; });
  internal::LayerNames names;
  for (const LayerPtr& layer : by_age) names.Take(*layer);
}

// Depth first, as keras.src.ops.function.map_graph, whose order of layers is that
// of checkpoints.
void Functional::Visit(const KerasTensor& tensor, std::map<const Layer*, int>& first_seen) {
  const CallPtr call = tensor.call.get();
  if (!call) throw InvalidArgumentError("[Model] outputs must come from calls of layers");
  if (index_.contains(call)) return;
  first_seen.try_emplace(call->layer.get(), static_cast<int>(first_seen.size()));
  const bool is_input = std::ranges::any_of(
      inputs_, [&](const KerasTensor& input) { return input.call.get() == call; });
  if (!is_input && call->inputs.empty()) {
    throw InvalidArgumentError("[Model] '{}' depends on '{}', which is not among its inputs",
                               name(), call->layer->name());
  }
  if (!is_input) {
    for (const KerasTensor& input : call->inputs) Visit(input, first_seen);
  }
  index_[call] = nodes_.size();
  nodes_.push_back({&tensor, call, 0});
}

void Functional::SortByDepth(const std::map<const Layer*, int>& first_seen) {
  std::map<const Layer*, int> layer_depth;
  for (size_t i = nodes_.size(); i-- > 0;) {
    Node& node = nodes_[i];
    int& of_layer = layer_depth[node.call->layer.get()];
    node.depth = of_layer = std::max(node.depth, of_layer);
    for (const KerasTensor& input : node.call->inputs) {
      const auto parent = index_.find(input.call.get());
      if (parent == index_.end()) continue;
      int& depth = nodes_[parent->second].depth;
      depth = std::max(depth, node.depth + 1);
    }
  }
  for (const Node& node : nodes_) {
    if (std::ranges::find(layers_, node.call->layer) == layers_.end()) {
      layers_.push_back(node.call->layer);
    }
  }
  std::ranges::stable_sort(layers_, {}, [&](const LayerPtr& layer) {
    return std::pair(-layer_depth.at(layer.get()), first_seen.at(layer.get()));
  });
}

void Functional::FeedAt(const std::vector<KerasTensor>& tensors) {
  if (built()) throw FailedPreconditionError("[Model] '{}' is built; FeedAt comes first", name());
  std::vector<bool> fed(nodes_.size()), computed(nodes_.size());
  for (const KerasTensor& tensor : tensors) fed[index_.at(tensor.call.get())] = true;
  for (const KerasTensor& output : outputs_) computed[index_.at(output.call.get())] = true;
  // Users come after what they use.
  for (size_t i = nodes_.size(); i-- > 0;) {
    if (fed[i]) computed[i] = false;
    if (!computed[i]) continue;
    if (nodes_[i].call->inputs.empty()) {
      throw InvalidArgumentError("[Model] '{}' needs its input '{}' besides what it is fed",
                                 name(), nodes_[i].call->layer->name());
    }
    for (const KerasTensor& input : nodes_[i].call->inputs) {
      computed[index_.at(input.call.get())] = true;
    }
  }
  feeds_ = tensors;
  computed_ = std::move(computed);
}

std::vector<TensorSpec> Functional::input_specs() const {
  std::vector<TensorSpec> specs;
  for (const KerasTensor& t : fed()) specs.push_back({t.dtype, t.shape, DType::kInvalid});
  return specs;
}

std::vector<TensorSpec> Functional::output_specs() const {
  std::vector<TensorSpec> specs;
  for (const KerasTensor& t : outputs_) specs.push_back({t.dtype, t.shape, DType::kInvalid});
  return specs;
}

void Functional::BuildModel(const std::vector<TensorSpec>& inputs) {
  if (built()) return;
  std::vector<Shape> shapes;
  for (size_t i = 0; i < fed().size(); ++i) {
    const KerasTensor& tensor = fed()[i];
    shapes.push_back(tensor.shape);
    if (inputs.size() > i && !tensor.shape.IsCompatibleWith(inputs[i].shape)) {
      throw InvalidArgumentError("[Model] input '{}' of '{}' expects shape {}, got {}",
                                 tensor.call->layer->name(), name(), tensor.shape.ToString(),
                                 inputs[i].shape.ToString());
    }
  }
  BuildOnce(shapes, path());
}

void Functional::Build(const std::vector<Shape>&) {
  const std::string prefix = path().empty() ? "" : path() + "/";
  // In the order of layers_: variables are created in Keras's order.
  for (const LayerPtr& layer : layers_) {
    for (const Node& node : nodes_) {
      if (node.call->layer != layer) continue;
      std::vector<Shape> shapes;
      for (const KerasTensor& input : node.call->inputs) shapes.push_back(input.shape);
      if (shapes.empty()) shapes.push_back(node.tensor->shape);
      layer->BuildOnce(shapes, prefix + layer->name());
      break;
    }
  }
}

void Functional::CheckInputCount(size_t count) const {
  if (count != fed().size()) {
    throw InvalidArgumentError("[Model] '{}' takes {} inputs, got {}", name(), fed().size(),
                               count);
  }
}

std::vector<Tensor> Functional::CallAll(const std::vector<Tensor>& inputs,
                                        CallContext& context) {
  CheckInputCount(inputs.size());
  if (!built()) {
    std::vector<TensorSpec> specs;
    for (const Tensor& input : inputs) specs.push_back(input.spec());
    BuildModel(specs);
  }
  std::map<CallPtr, Tensor> values;
  for (size_t i = 0; i < inputs.size(); ++i) values[fed()[i].call.get()] = inputs[i];
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    if (values.contains(node.call) || (!feeds_.empty() && !computed_[i])) continue;
    std::vector<Tensor> args;
    for (const KerasTensor& input : node.call->inputs) {
      args.push_back(values.at(input.call.get()));
    }
    values[node.call] = (*node.call->layer)(args, context);
  }
  std::vector<Tensor> outputs;
  for (const KerasTensor& output : outputs_) outputs.push_back(values.at(output.call.get()));
  return outputs;
}

Tensor Functional::Call(const std::vector<Tensor>& inputs, CallContext& context) {
  return CallAll(inputs, context)[0];
}

Shape Functional::ComputeOutputShape(const std::vector<Shape>& inputs) const {
  std::map<CallPtr, Shape> shapes;
  for (size_t i = 0; i < inputs.size(); ++i) shapes[inputs_[i].call.get()] = inputs[i];
  for (const Node& node : nodes_) {
    if (shapes.contains(node.call)) continue;
    std::vector<Shape> args;
    for (const KerasTensor& in : node.call->inputs) args.push_back(shapes.at(in.call.get()));
    shapes[node.call] = node.call->layer->ComputeOutputShape(args);
  }
  return shapes.at(outputs_[0].call.get());
}

DType Functional::ComputeOutputDType(const std::vector<DType>&) const {
  return outputs_[0].dtype;
}

bool Functional::IsLikeSequential() const {
  std::map<int, int> calls_at;
  std::map<const Layer*, int> calls_of;
  for (const Node& node : nodes_) {
    if (++calls_at[node.depth] > 1 || node.call->inputs.size() > 1 ||
        ++calls_of[node.call->layer.get()] > 1) {
      return false;
    }
  }
  return true;
}

std::string Functional::ConnectionsOf(const Layer& layer) const {
  std::vector<std::string> parts;
  for (const Node& node : nodes_) {
    if (node.call->layer.get() != &layer) continue;
    for (const KerasTensor& input : node.call->inputs) {
      parts.push_back(
          fmt::format("{}[{}][0]", input.call->layer->name(), input.call->node_index));
    }
  }
  return parts.empty() ? "-" : Join(parts, ", ");
}

Shape Functional::OutputShapeOf(const Layer& layer) const {
  Shape shape = Shape::UnknownRank();
  for (const Node& node : nodes_) {
    if (node.call->layer.get() == &layer) shape = node.tensor->shape;
  }
  return shape;
}

ModelPtr Model::Make(const std::vector<KerasTensor>& inputs,
                     const std::vector<KerasTensor>& outputs, const std::string& name) {
  if (inputs.empty() || outputs.empty()) {
    throw InvalidArgumentError("[Model] needs at least one input and one output");
  }
  OptionNode::Map options;
  if (!name.empty()) options.push_back({"name", name});
  return std::make_shared<Functional>(
      MakeOptions(LayerTable("Functional", "A graph of layers.", {}), options), inputs,
      outputs);
}

}  // namespace tributary

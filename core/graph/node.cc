#include "core/graph/node.h"

#include "core/runtime/variable.h"

namespace tributary {
namespace {

constexpr char kConst[] = "Const";
constexpr char kPlaceholder[] = "Placeholder";
constexpr char kVarHandle[] = "VarHandleOp";

std::vector<const Tensor*> ConstantsOf(const std::vector<Tensor>& inputs) {
  std::vector<const Tensor*> constants;
  for (const Tensor& input : inputs) {
    const Node* node = input.node();
    constants.push_back(input.index() == 0 ? node->constant() : nullptr);
  }
  return constants;
}

bool IsAlphanumeric(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// "scope/name" with characters that TensorFlow refuses replaced. A name starts with a
// letter, a digit or a point: "_x" becomes "x".
std::string Sanitize(std::string name) {
  for (char& c : name) {
    if (!IsAlphanumeric(c) && !std::strchr("_./>-\\", c)) c = '_';
  }
  size_t start = 0;
  while (start < name.size() && !IsAlphanumeric(name[start]) && name[start] != '.') ++start;
  return start == name.size() ? "unnamed" : name.substr(start);
}

// Names that differ only by case are one, as in TensorFlow.
std::string NameKey(std::string name) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace

Graph::Graph() {
  static std::atomic<uint64_t> serials{0};
  serial_ = ++serials;
}

const Tensor* Node::constant() const {
  if (schema_->name != kConst) return nullptr;
  return attrs_.Find("value")->As<Tensor>();
}

void Node::AddControlInput(Node* node) {
  if (node == this) return;
  if (std::find(control_inputs_.begin(), control_inputs_.end(), node) == control_inputs_.end()) {
    control_inputs_.push_back(node);
  }
}

Node* Graph::Insert(std::unique_ptr<Node> node) {
  node->id_ = next_id_++;
  node->graph_ = this;
  by_name_[node->name_] = node.get();
  name_counts_.emplace(NameKey(node->name_), 1);
  nodes_.push_back(std::move(node));
  return nodes_.back().get();
}

Node* Graph::AddNode(const std::string& op, const std::vector<Tensor>& inputs, AttrMap attrs,
                     const std::string& name, const std::vector<Node*>& control_inputs) {
  auto node = std::make_unique<Node>();
  node->schema_ = &OpRegistry().Get(op);
  std::vector<TensorSpec> specs;
  for (const Tensor& input : inputs) {
    if (!input.IsSymbolic() || input.node()->graph() != this) {
      throw InvalidArgumentError("[{}] an input is not a tensor of this graph; capture it first",
                                 op);
    }
    specs.push_back(input.spec());
  }
  node->attrs_ = std::move(attrs);
  try {
    node->outputs_ = InferOutputs(*node->schema_, specs, ConstantsOf(inputs), node->attrs_);
  } catch (const Error& e) {
    if (name.empty() && scopes_.empty()) throw;
    std::string where = name.empty() ? op : name;
    if (!scopes_.empty()) where = scopes_.back() + where;
    ThrowError(e.code(), fmt::format("{} (adding node '{}')", e.what(), where));
  }
  node->inputs_ = inputs;
  node->name_ = UniqueName(name.empty() ? op : name);
  for (Node* control : control_inputs) node->AddControlInput(control);
  for (const auto& group : control_) {
    for (Node* control : group) node->AddControlInput(control);
  }
  return Insert(std::move(node));
}

Tensor Graph::Constant(const Tensor& value, const std::string& name) {
  Node* node = AddNode(kConst, {}, {{"value", value}, {"dtype", value.dtype()}}, name);
  node->outputs_[0].shape = value.shape();
  return node->out();
}

Tensor Graph::Placeholder(DType dtype, const Shape& shape, const std::string& name) {
  Node* node = AddNode(kPlaceholder, {}, {{"dtype", dtype}, {"shape", shape}}, name);
  node->outputs_[0].shape = shape;
  return node->out();
}

Tensor Graph::Capture(const std::shared_ptr<Variable>& variable) {
  const auto it = captures_.find(variable.get());
  if (it != captures_.end()) return it->second->out();
  // The handle belongs to no scope and waits for nobody.
  auto scopes = std::exchange(scopes_, {});
  auto control = std::exchange(control_, {});
  Node* node = AddNode(kVarHandle, {},
                       {{"dtype", variable->dtype()},
                        {"shape", variable->shape()},
                        {"shared_name", variable->name()}},
                       variable->name());
  scopes_ = std::move(scopes);
  control_ = std::move(control);
  // shared_name is the resource key: unique, equal to the node's name.
  node->attrs_.Set("shared_name", node->name());
  node->outputs_[0] = {DType::kResource, variable->shape(), variable->dtype()};
  node->variable_ = variable;
  captures_[variable.get()] = node;
  return node->out();
}

Tensor Graph::AsSymbolic(const Tensor& tensor) {
  if (tensor.IsSymbolic()) {
    if (tensor.node()->graph() == this) return tensor;
    throw InvalidArgumentError("[graph] tensor {}:{} belongs to another graph",
                               tensor.node()->name(), tensor.index());
  }
  if (!tensor.defined()) throw InvalidArgumentError("[graph] an input tensor is undefined");
  if (tensor.dtype() == DType::kResource) return Capture(tensor.resource());
  const auto key = std::make_pair(tensor.raw_data(), tensor.spec().ToString());
  if (const auto it = constants_.find(key); it != constants_.end()) {
    // The node keeps the buffer alive, so an equal address is the same value.
    return it->second->out();
  }
  Tensor constant = Constant(tensor);
  if (tensor.bytes()) constants_[key] = constant.node();
  return constant;
}

Node* Graph::FindNode(const std::string& name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

void Graph::Retain(const std::function<bool(const Node&)>& keep) {
  std::vector<std::unique_ptr<Node>> kept;
  for (auto& node : nodes_) {
    if (keep(*node)) {
      kept.push_back(std::move(node));
      continue;
    }
    by_name_.erase(node->name());
    if (node->variable_) captures_.erase(node->variable_.get());
    for (auto it = constants_.begin(); it != constants_.end();) {
      it = it->second == node.get() ? constants_.erase(it) : std::next(it);
    }
  }
  nodes_ = std::move(kept);
}

void Graph::Rename(Node* node, const std::string& name) {
  if (!by_name_.emplace(name, node).second) return;
  name_counts_.emplace(NameKey(name), 1);
  by_name_.erase(node->name_);
  node->name_ = name;
}

void Graph::SortTopologically() {
  std::unordered_map<const Node*, std::unique_ptr<Node>*> owner;
  for (auto& node : nodes_) owner[node.get()] = &node;
  std::unordered_map<const Node*, int> state;  // 1: on the stack, 2: done
  std::vector<std::unique_ptr<Node>> sorted;
  std::vector<std::pair<Node*, size_t>> stack;
  std::vector<Node*> order;
  for (auto& node : nodes_) order.push_back(node.get());
  for (Node* root : order) {
    if (state[root] == 2) continue;
    stack.push_back({root, 0});
    state[root] = 1;
    while (!stack.empty()) {
      auto& [node, next] = stack.back();
      const size_t inputs = node->inputs_.size();
      const size_t total = inputs + node->control_inputs_.size();
      if (next == total) {
        state[node] = 2;
        sorted.push_back(std::move(*owner[node]));
        stack.pop_back();
        continue;
      }
      const size_t i = next++;
      Node* dependency = i < inputs ? node->inputs_[i].node() : node->control_inputs_[i - inputs];
      int& s = state[dependency];
      if (s == 1) throw InternalError("[graph] cycle through node '{}'", dependency->name());
      if (s == 0) {
        s = 1;
        stack.push_back({dependency, 0});
      }
    }
  }
  nodes_ = std::move(sorted);
}

void Graph::PlaceBefore(Node* node, const Node* other) {
  auto find = [this](const Node* wanted) {
    return std::find_if(nodes_.begin(), nodes_.end(),
                        [wanted](const auto& n) { return n.get() == wanted; });
  };
  auto from = find(node);
  TRB_CHECK(from != nodes_.end());
  std::unique_ptr<Node> held = std::move(*from);
  nodes_.erase(from);
  nodes_.insert(find(other), std::move(held));
}

std::unique_ptr<Graph> Graph::Clone(
    std::unordered_map<const Node*, Node*>* map,
    const std::unordered_map<const Node*, TensorSpec>& specs) const {
  auto clone = std::make_unique<Graph>();
  std::unordered_map<const Node*, Node*> local;
  auto& copies = map ? *map : local;
  for (const auto& node : nodes_) {
    auto copy = std::make_unique<Node>();
    copy->name_ = node->name_;
    copy->schema_ = node->schema_;
    copy->attrs_ = node->attrs_;
    copy->device_ = node->device_;
    copy->variable_ = node->variable_;
    std::vector<TensorSpec> inputs;
    for (const Tensor& input : node->inputs_) {
      copy->inputs_.push_back(copies.at(input.node())->out(input.index()));
      inputs.push_back(copy->inputs_.back().spec());
    }
    for (Node* control : node->control_inputs_) {
      copy->control_inputs_.push_back(copies.at(control));
    }
    copy->outputs_ = node->outputs_;
    if (const auto it = specs.find(node.get()); it != specs.end()) {
      copy->outputs_[0] = it->second;
    } else if (!specs.empty() && !node->inputs_.empty()) {
      copy->outputs_ = InferOutputs(*copy->schema_, inputs, ConstantsOf(copy->inputs_),
                                    copy->attrs_);
    }
    Node* inserted = clone->Insert(std::move(copy));
    copies[node.get()] = inserted;
    if (inserted->variable_) clone->captures_[inserted->variable_.get()] = inserted;
  }
  clone->name_counts_ = name_counts_;
  return clone;
}

// As Graph.unique_name of TensorFlow, for nodes and scopes alike.
std::string Graph::UniqueName(const std::string& name) {
  const std::string full = Sanitize((scopes_.empty() ? "" : scopes_.back()) + name);
  const std::string key = NameKey(full);
  int count = name_counts_[key]++;
  if (count == 0) return full;
  while (name_counts_.count(fmt::format("{}_{}", key, count))) ++count;
  name_counts_[fmt::format("{}_{}", key, count)] = 1;
  return fmt::format("{}_{}", full, count);
}

void Graph::PushScope(const std::string& scope) { scopes_.push_back(UniqueName(scope) + "/"); }

void Graph::PopScope() { scopes_.pop_back(); }

void Graph::PushControlDependencies(std::vector<Node*> nodes) {
  control_.push_back(std::move(nodes));
}

void Graph::PopControlDependencies() { control_.pop_back(); }

}  // namespace tributary

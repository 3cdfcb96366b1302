#pragma once
// Node and Graph: a dataflow graph of operations with TensorFlow's names,
// attributes and naming rules (tensorflow/core/graph/graph.h, ops.py).
//
// Nodes are kept in the order of their creation, which is a topological order
// and, for stateful ops, the program order that execution keeps. A Graph is
// built by one thread.

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/graph/attr.h"
#include "core/graph/op.h"

namespace tributary {

class Graph;

class Node {
 public:
  int id() const { return id_; }  // creation order; ids may have gaps
  const std::string& name() const { return name_; }
  const std::string& op() const { return schema_->name; }
  const OpSchema& schema() const { return *schema_; }
  const AttrMap& attrs() const { return attrs_; }
  AttrMap& mutable_attrs() { return attrs_; }
  Graph* graph() const { return graph_; }

  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  // Symbolic tensors of this graph.
  const Tensor& input(int i) const { return inputs_[i]; }
  const std::vector<Tensor>& inputs() const { return inputs_; }
  const std::vector<Node*>& control_inputs() const { return control_inputs_; }
  int num_outputs() const { return static_cast<int>(outputs_.size()); }
  const TensorSpec& output(int i) const { return outputs_[i]; }
  const std::vector<TensorSpec>& outputs() const { return outputs_; }
  Tensor out(int i = 0) { return Tensor::Symbolic(this, i); }
  // Requested device, "" when the placer decides.
  const std::string& device() const { return device_; }
  void set_device(std::string device) { device_ = std::move(device); }
  // The value of a Const node, else null.
  const Tensor* constant() const;
  // The variable behind a VarHandleOp, else null.
  const std::shared_ptr<Variable>& variable() const { return variable_; }

  // For graph rewriting. `tensor` belongs to the same graph.
  void set_input(int i, Tensor tensor) { inputs_[i] = std::move(tensor); }
  // What is known of an output after constants were folded.
  void set_output(int i, TensorSpec spec) { outputs_[i] = std::move(spec); }
  void set_control_inputs(std::vector<Node*> nodes) { control_inputs_ = std::move(nodes); }
  // Gives a VarHandleOp that was read from a file its variable.
  void set_variable(std::shared_ptr<Variable> variable) { variable_ = std::move(variable); }
  void AddControlInput(Node* node);

 private:
  friend class Graph;
  int id_ = 0;
  std::string name_;
  const OpSchema* schema_ = nullptr;
  AttrMap attrs_;
  std::vector<Tensor> inputs_;
  std::vector<Node*> control_inputs_;
  std::vector<TensorSpec> outputs_;
  std::string device_;
  std::shared_ptr<Variable> variable_;
  Graph* graph_ = nullptr;
};

class Graph {
 public:
  Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Never given to another graph of this process.
  uint64_t serial() const { return serial_; }

  // Adds a node after checking and inferring by the op's schema. `name` is made
  // unique within the current name scope; "" means the op's name. Throws
  // InvalidArgumentError naming the node.
  Node* AddNode(const std::string& op, const std::vector<Tensor>& inputs, AttrMap attrs = {},
                const std::string& name = "", const std::vector<Node*>& control_inputs = {});
  // A Const node holding `value` (shared, not copied).
  Tensor Constant(const Tensor& value, const std::string& name = "Const");
  // A Placeholder of this dtype and (possibly partial) shape.
  Tensor Placeholder(DType dtype, const Shape& shape, const std::string& name = "Placeholder");
  // The VarHandleOp of a variable, one per variable and graph.
  Tensor Capture(const std::shared_ptr<Variable>& variable);
  // A concrete tensor made symbolic: Capture for resources, else Constant (one
  // node for one buffer view). Symbolic tensors of this graph pass through.
  Tensor AsSymbolic(const Tensor& tensor);

  // In creation order; removed nodes are absent.
  const std::vector<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  Node* FindNode(const std::string& name) const;
  // Drops the nodes for which `keep` is false. Nothing kept may refer to them.
  void Retain(const std::function<bool(const Node&)>& keep);
  // Reorders nodes() so that inputs come before their users, else by id; passes
  // that insert nodes call it. Throws InternalError on a cycle.
  void SortTopologically();
  // Gives a node a free name, as it stands; does nothing when the name is taken.
  void Rename(Node* node, const std::string& name);
  // The node sorts where `other` does, right before it.
  void PlaceBefore(Node* node, const Node* other);

  // A deep copy; `map` receives old node -> new node. With `specs`, output specs
  // of the named (Placeholder) nodes are replaced and everything is inferred
  // again with those shapes.
  std::unique_ptr<Graph> Clone(
      std::unordered_map<const Node*, Node*>* map,
      const std::unordered_map<const Node*, TensorSpec>& specs = {}) const;

  // "MatMul" -> "MatMul_1" when taken; scopes join with '/'.
  std::string UniqueName(const std::string& name);
  void PushScope(const std::string& scope);
  void PopScope();

  // Control inputs that every node added meanwhile receives (tf.control_dependencies).
  void PushControlDependencies(std::vector<Node*> nodes);
  void PopControlDependencies();

 private:
  friend class Node;
  Node* Insert(std::unique_ptr<Node> node);
  uint64_t serial_;
  int next_id_ = 0;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::unordered_map<std::string, Node*> by_name_;
  std::unordered_map<std::string, int> name_counts_;
  std::vector<std::string> scopes_;
  std::vector<std::vector<Node*>> control_;
  std::unordered_map<const Variable*, Node*> captures_;
  std::map<std::pair<const void*, std::string>, Node*> constants_;
};

}  // namespace tributary

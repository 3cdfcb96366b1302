#pragma once
// Execute: the one door through which every op builder goes.
//
//   Tensor MatMul(const Tensor& a, const Tensor& b) {
//     return Execute1("MatMul", {a, b}, {{"transpose_a", false}});
//   }
//
// With concrete tensors outside of any trace the op runs now (eager) and is
// recorded on the active tapes. With a symbolic tensor, or while a GraphScope
// is active, it becomes a node and the results are symbolic.

#include <string>
#include <vector>

#include "core/graph/node.h"

namespace tributary {

// All outputs. Throws InvalidArgumentError, UnimplementedError and whatever the
// kernel finds in the data.
std::vector<Tensor> Execute(const std::string& op, const std::vector<Tensor>& inputs,
                            const AttrMap& attrs = {}, const std::string& name = "");
// Output 0.
Tensor Execute1(const std::string& op, const std::vector<Tensor>& inputs,
                const AttrMap& attrs = {}, const std::string& name = "");

// While alive, ops on this thread become nodes of `graph`.
class GraphScope {
 public:
  explicit GraphScope(Graph* graph);
  ~GraphScope();
  GraphScope(const GraphScope&) = delete;
  GraphScope& operator=(const GraphScope&) = delete;

 private:
  Graph* previous_;
};

// While alive, ops run eagerly although a graph is active (tf.init_scope).
class InitScope {
 public:
  InitScope();
  ~InitScope();

 private:
  Graph* previous_;
};

// The graph that ops on this thread are added to, or null.
Graph* CurrentGraph();

// While alive, node names on this thread start with `name/` (tf.name_scope).
class NameScope {
 public:
  explicit NameScope(const std::string& name);
  ~NameScope();
  NameScope(const NameScope&) = delete;

 private:
  Graph* graph_;
};

}  // namespace tributary

// Gradients: reverse-mode differentiation by extending the graph.

#include "core/runtime/gradients.h"

#include "core/graph/node.h"
#include "core/runtime/accumulate.h"
#include "core/runtime/execute.h"

namespace tributary {
namespace {

// Nodes of `order` that lie on a path from an x to a y, by position.
std::vector<bool> OnPath(const std::vector<Node*>& order, const std::vector<Tensor>& ys,
                         const std::vector<Tensor>& xs) {
  std::unordered_map<const Node*, bool> from_x, to_y;
  for (const Tensor& x : xs) from_x[x.node()] = true;
  for (const Tensor& y : ys) to_y[y.node()] = true;
  for (Node* node : order) {
    for (const Tensor& input : node->inputs()) {
      if (from_x[input.node()]) from_x[node] = true;
    }
  }
  std::vector<bool> on_path(order.size());
  for (size_t i = order.size(); i-- > 0;) {
    Node* node = order[i];
    if (!to_y[node]) continue;
    for (const Tensor& input : node->inputs()) to_y[input.node()] = true;
    on_path[i] = from_x[node];
  }
  return on_path;
}

using Key = std::pair<const Node*, int>;

}  // namespace

Grads Gradients(const std::vector<Tensor>& ys, const std::vector<Tensor>& xs,
                const std::vector<Tensor>& grad_ys) {
  if (ys.empty() || !ys[0].IsSymbolic()) {
    throw InvalidArgumentError("[gradients] needs symbolic tensors; use GradientTape for values");
  }
  Graph* graph = ys[0].node()->graph();
  GraphScope graph_scope(graph);
  NameScope scope("gradients");
  std::vector<Tensor> sources;
  for (const Tensor& x : xs) sources.push_back(graph->AsSymbolic(x));

  std::vector<Node*> order;
  for (const auto& node : graph->nodes()) order.push_back(node.get());
  const std::vector<bool> on_path = OnPath(order, ys, sources);

  std::map<Key, std::vector<Grad>> grads;
  for (size_t i = 0; i < ys.size(); ++i) {
    const Tensor seed = i < grad_ys.size() && grad_ys[i].defined()
                            ? graph->AsSymbolic(grad_ys[i])
                            : Execute1("OnesLike", {ys[i]}, {}, "grad_ys_" + std::to_string(i));
    grads[{ys[i].node(), ys[i].index()}].push_back(seed);
  }
  for (size_t i = order.size(); i-- > 0;) {
    Node* node = order[i];
    if (!on_path[i] || node->num_inputs() == 0) continue;
    std::vector<Tensor> outputs;
    std::vector<std::vector<Grad>> parts;
    for (int o = 0; o < node->num_outputs(); ++o) {
      outputs.push_back(node->out(o));
      parts.push_back(grads[{node, o}]);
    }
    NameScope node_scope(node->name() + "_grad");
    const Grads input_grads =
        BackpropagateOp(node->schema(), node->attrs(), node->inputs(), outputs, parts);
    for (size_t k = 0; k < input_grads.size(); ++k) {
      const Tensor& input = node->input(static_cast<int>(k));
      if (input_grads[k].defined()) {
        grads[{input.node(), input.index()}].push_back(input_grads[k]);
      }
    }
  }
  Grads result;
  for (const Tensor& x : sources) result.push_back(AccumulateGrads(grads[{x.node(), x.index()}]));
  return result;
}

}  // namespace tributary

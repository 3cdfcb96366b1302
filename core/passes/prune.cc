#include "core/passes/pass.h"

namespace tributary {

const Tensor* PassContext::constant(const Tensor& tensor) const {
  if (const Tensor* value = tensor.node()->constant()) return value;
  const auto it = known.find(tensor.node());
  return it == known.end() ? nullptr : &it->second.at(tensor.index());
}

int Prune(PassContext& context) {
  std::unordered_set<const Node*> needed;
  std::vector<const Node*> stack;
  auto need = [&](const Node* node) {
    if (needed.insert(node).second) stack.push_back(node);
  };
  for (const Tensor& fetch : context.fetches) need(fetch.node());
  for (const Node* target : context.targets) need(target);
  while (!stack.empty()) {
    const Node* node = stack.back();
    stack.pop_back();
    for (const Tensor& input : node->inputs()) need(input.node());
    for (const Node* control : node->control_inputs()) need(control);
  }
  const size_t before = context.graph->nodes().size();
  for (const auto& node : context.graph->nodes()) {
    if (!needed.count(node.get())) context.known.erase(node.get());
  }
  std::erase_if(context.feeds, [&](const Node* node) { return !needed.count(node); });
  context.graph->Retain([&](const Node& node) { return needed.count(&node) != 0; });
  return static_cast<int>(before - context.graph->nodes().size());
}

void Redirect(PassContext& context, const Redirections& map) {
  if (map.empty()) return;
  // Replacements may themselves have been replaced.
  auto resolve = [&](Tensor tensor) {
    for (auto it = map.find(tensor.node()); it != map.end(); it = map.find(tensor.node())) {
      tensor = it->second.at(tensor.index());
    }
    return tensor;
  };
  auto resolve_node = [&](Node* node) {
    for (auto it = map.find(node); it != map.end() && !it->second.empty();
         it = map.find(node)) {
      node = it->second[0].node();
    }
    return node;
  };
  for (const auto& node : context.graph->nodes()) {
    for (int i = 0; i < node->num_inputs(); ++i) {
      if (map.count(node->input(i).node())) node->set_input(i, resolve(node->input(i)));
    }
    std::vector<Node*> control = node->control_inputs();
    bool changed = false;
    for (Node*& c : control) {
      Node* to = resolve_node(c);
      changed |= to != c;
      c = to;
    }
    if (changed) node->set_control_inputs(std::move(control));
  }
  for (Tensor& fetch : context.fetches) fetch = resolve(fetch);
  for (Node*& target : context.targets) target = resolve_node(target);
}

}  // namespace tributary

// Common subexpression elimination.
#include "core/passes/pass.h"

namespace tributary {
namespace {

// Nodes without inputs name something of their own (a placeholder, a variable),
// except Consts.
bool MayMerge(const PassContext& context, const Node& node) {
  return !node.schema().stateful && !node.variable() && node.control_inputs().empty() &&
         node.num_outputs() > 0 && !context.feeds.count(&node) &&
         (node.num_inputs() > 0 || node.constant());
}

bool SameValue(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  if (a.raw_data() == b.raw_data()) return true;
  if (a.dtype() == DType::kString) {
    return std::equal(a.data<std::string>(), a.data<std::string>() + a.NumElements(),
                      b.data<std::string>());
  }
  return a.bytes() == 0 || std::memcmp(a.raw_data(), b.raw_data(), a.bytes()) == 0;
}

std::string Key(const Node& node) {
  std::vector<std::string> inputs;
  for (const Tensor& input : node.inputs()) {
    inputs.push_back(fmt::format("{}:{}", input.node()->id(), input.index()));
  }
  if (node.schema().commutative) std::sort(inputs.begin(), inputs.end());
  return fmt::format("{}|{}|{}|{}", node.op(), node.device(), Join(inputs, ","),
                     node.attrs().ToString());
}

}  // namespace

int MergeCommon(PassContext& context) {
  std::unordered_map<std::string, Node*> seen;
  Redirections merged;
  for (const auto& owner : context.graph->nodes()) {
    Node* node = owner.get();
    for (int i = 0; i < node->num_inputs(); ++i) {
      const auto it = merged.find(node->input(i).node());
      if (it != merged.end()) node->set_input(i, it->second[node->input(i).index()]);
    }
    if (!MayMerge(context, *node)) continue;
    const auto [it, is_new] = seen.emplace(Key(*node), node);
    if (is_new) continue;
    Node* first = it->second;
    // The key of a Const holds a hash of its value only.
    if (node->constant() && !SameValue(*node->constant(), *first->constant())) continue;
    std::vector<Tensor>& outputs = merged[node];
    for (int i = 0; i < node->num_outputs(); ++i) outputs.push_back(first->out(i));
  }
  Redirect(context, merged);
  if (!merged.empty()) {
    context.graph->Retain([&](const Node& node) { return !merged.count(&node); });
  }
  for (const auto& [node, outputs] : merged) context.known.erase(node);
  return static_cast<int>(merged.size());
}

}  // namespace tributary

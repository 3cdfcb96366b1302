// Conv2DBackpropFilter and the BiasAddGrad of the same gradient -> one op that reads
// the gradient once. (For MatMul the gradient is small and this does not pay.)

#include "ops/fusion/patterns.h"
#include "ops/nn/conv2d.h"

namespace tributary {
namespace {

constexpr const char* kFused = "_FusedConv2DBackpropFilter";

Node* FindUser(const Tensor& tensor, const char* op, int input, const GraphUses& uses) {
  for (Node* user : uses.users(tensor.node())) {
    if (user->op() == op && SameTensor(user->input(input), tensor)) return user;
  }
  return nullptr;
}

// Whichever of the two comes first makes the fused node, the other one finds it.
std::vector<Tensor> FuseBiasGrad(Graph& graph, Node* node, const GraphUses& uses) {
  if (!IsFloat32(node)) return {};
  const bool is_filter = node->op() == "Conv2DBackpropFilter";
  if (!is_filter && node->op() != "BiasAddGrad") return {};
  const Tensor& gradient = node->input(is_filter ? 2 : 0);
  if (Node* fused = FindUser(gradient, kFused, 2, uses)) {
    if (!is_filter) return {fused->out(1)};
    const bool same = SameTensor(fused->input(0), node->input(0)) &&
                      SameTensor(fused->input(1), node->input(1));
    if (same) return {fused->out(0)};
    return {};
  }
  Node* filter = is_filter ? node : FindUser(gradient, "Conv2DBackpropFilter", 2, uses);
  Node* bias = is_filter ? FindUser(gradient, "BiasAddGrad", 0, uses) : node;
  if (!filter || !bias) return {};
  Node* fused = graph.AddNode(kFused, filter->inputs(), ConvWindowAttrs(filter->attrs()),
                              filter->name());
  return {fused->out(is_filter ? 0 : 1)};
}

REGISTER_REWRITE("fuse_bias_grad", 24, FuseBiasGrad);

}  // namespace
}  // namespace tributary

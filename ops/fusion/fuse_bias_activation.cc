// MatMul or Conv2D + BiasAdd + activation -> _FusedMatMul, _FusedConv2D. In two steps:
// the BiasAdd is swallowed first, then the activation after it.

#include "ops/fusion/patterns.h"
#include "ops/nn/conv2d.h"
#include "ops/nn/fused_activation.h"

namespace tributary {
namespace {

using Names = std::vector<std::string>;

std::vector<Tensor> FuseBias(Graph& graph, Node* node, const GraphUses& uses) {
  if (node->op() != "BiasAdd" || !IsFloat32(node)) return {};
  AttrMap attrs{{"fused_ops", Names{"BiasAdd"}}, {"num_args", 1}};
  const char* op = nullptr;
  Node* product = OnlyUse(node->input(0), "MatMul", uses);
  if (product) {
    op = "_FusedMatMul";
    attrs.Set("transpose_a", product->attrs().Get<bool>("transpose_a"));
    attrs.Set("transpose_b", product->attrs().Get<bool>("transpose_b"));
  } else if ((product = OnlyUse(node->input(0), "Conv2D", uses))) {
    op = "_FusedConv2D";
    for (const auto& [name, value] : ConvWindowAttrs(product->attrs())) attrs.Set(name, value);
  } else {
    return {};
  }
  return {graph.AddNode(op, {product->input(0), product->input(1), node->input(1)}, attrs,
                        product->name())
              ->out()};
}

std::vector<Tensor> FuseActivation(Graph& graph, Node* node, const GraphUses& uses) {
  const std::string name = FusedActivationName(node->op(), node->attrs());
  if (name.empty()) return {};
  Node* product = OnlyUse(node->input(0), "_FusedMatMul", uses);
  if (!product) product = OnlyUse(node->input(0), "_FusedConv2D", uses);
  if (!product || product->attrs().Get<Names>("fused_ops") != Names{"BiasAdd"}) return {};
  AttrMap attrs = product->attrs();
  attrs.Set("fused_ops", Names{"BiasAdd", name});
  if (name == "LeakyRelu") attrs.Set("leakyrelu_alpha", node->attrs().Get<float>("alpha"));
  return {graph.AddNode(product->op(), product->inputs(), attrs, product->name())->out()};
}

REGISTER_REWRITE("fuse_bias", 20, FuseBias);
REGISTER_REWRITE("fuse_activation", 21, FuseActivation);

}  // namespace
}  // namespace tributary

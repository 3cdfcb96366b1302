// ReluGrad after the op that made its gradient -> the mask is applied while the result
// is in registers or in the cache.

#include "ops/fusion/patterns.h"
#include "ops/nn/conv2d.h"

namespace tributary {
namespace {

std::vector<Tensor> FuseReluGrad(Graph& graph, Node* node, const GraphUses& uses) {
  if (node->op() != "ReluGrad" || !IsFloat32(node)) return {};
  const Tensor &gradient = node->input(0), &features = node->input(1);
  if (Node* product = OnlyUse(gradient, "MatMul", uses)) {
    AttrMap attrs{{"fused_ops", std::vector<std::string>{"ReluGrad"}},
                  {"num_args", 1},
                  {"transpose_a", product->attrs().Get<bool>("transpose_a")},
                  {"transpose_b", product->attrs().Get<bool>("transpose_b")}};
    return {graph.AddNode("_FusedMatMul", {product->input(0), product->input(1), features},
                          attrs, product->name())
                ->out()};
  }
  if (Node* conv = OnlyUse(gradient, "Conv2DBackpropInput", uses)) {
    return {graph.AddNode("_FusedConv2DBackpropInput",
                          {conv->input(0), conv->input(1), conv->input(2), features},
                          ConvWindowAttrs(conv->attrs()), conv->name())
                ->out()};
  }
  // A maximum of relu outputs is positive exactly where its element's mask is.
  Node* pool = OnlyUse(gradient, "MaxPoolGrad", uses);
  if (pool && SameTensor(pool->input(0), features)) {
    AttrMap attrs = pool->attrs();
    attrs.Set("_relu", true);
    return {graph.AddNode("MaxPoolGrad", pool->inputs(), attrs, pool->name())->out()};
  }
  return {};
}

REGISTER_REWRITE("fuse_relu_grad", 22, FuseReluGrad);

}  // namespace
}  // namespace tributary

// NoOp: computes nothing; carries control edges.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array_ops.h"

namespace tributary {

REGISTER_OP("NoOp")
    .NotDifferentiable()
    .Stateful()
    .Samples([] { return std::vector<OpSample>{{}}; });
REGISTER_KERNEL("NoOp", DeviceType::kCpu, {}, [](PrepareContext&) -> std::unique_ptr<Kernel> {
  return nullptr;
});

namespace ops {

Node* Group(const std::vector<Tensor>& effects, const std::string& name) {
  std::vector<Node*> nodes;
  for (const Tensor& effect : effects) {
    if (effect.IsSymbolic()) nodes.push_back(effect.node());
  }
  if (nodes.empty()) return nullptr;
  return nodes[0]->graph()->AddNode("NoOp", {}, {}, name, nodes);
}

}  // namespace ops
}  // namespace tributary

#pragma once
// Questions that rewrites ask.

#include "core/graph/node.h"
#include "core/passes/rewrite.h"

namespace tributary {

// The node of `tensor` if it is output 0 of this op and nobody else uses it, so that it
// may be swallowed; else null.
inline Node* OnlyUse(const Tensor& tensor, const char* op, const GraphUses& uses) {
  Node* node = tensor.node();
  const bool swallow = node->op() == op && tensor.index() == 0 && !uses.pinned(node) &&
                       uses.count(node) == 1 && node->control_inputs().empty();
  return swallow ? node : nullptr;
}

inline bool SameTensor(const Tensor& a, const Tensor& b) {
  return a.node() == b.node() && a.index() == b.index();
}

inline bool IsFloat32(const Node* node) {
  return node->num_outputs() > 0 && node->output(0).dtype == DType::kFloat32;
}

}  // namespace tributary

#pragma once
// Graph rewrites that know ops are registered from ops/; the engine only runs
// them. A rewrite looks at one node at a time.
//
//   REGISTER_REWRITE("fuse_matmul_bias_act", 20, [](Graph& g, Node* n,
//                                              const GraphUses& uses) -> Tensor...)

#include <functional>
#include <string>
#include <vector>

#include "core/graph/node.h"

namespace tributary {

// Who uses what in a graph, kept by the pass that runs the rewrites.
class GraphUses {
 public:
  virtual ~GraphUses() = default;
  // Uses of output `index` as a data input, fetches included.
  virtual int count(const Node* node, int index = 0) const = 0;
  // Nodes that take any output of `node` as data input.
  virtual const std::vector<Node*>& users(const Node* node) const = 0;
  // Fetched from outside, or the target of a control edge: must stay.
  virtual bool pinned(const Node* node) const = 0;
};

// If a pattern ends at `node`, adds the replacement to the graph and returns the
// replacements of node's outputs (the pass redirects the uses, records the fusion,
// names it after the first node that it replaced, and prunes what fell out of use);
// else returns an empty vector.
using RewriteFn = std::function<std::vector<Tensor>(Graph&, Node* node, const GraphUses&)>;

struct Rewrite {
  std::string name;
  int priority;  // lower runs first, over the whole graph
  RewriteFn fn;
};

// Sorted by priority.
const std::vector<Rewrite>& Rewrites();

struct RewriteRegistrar {
  RewriteRegistrar(std::string name, int priority, RewriteFn fn);
};
#define REGISTER_REWRITE(name, priority, ...)                 \
  [[maybe_unused]] static const ::tributary::RewriteRegistrar \
      TRB_UNIQUE(trb_rewrite_)(name, priority, __VA_ARGS__)

}  // namespace tributary

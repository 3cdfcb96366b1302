#pragma once
// Graph passes: each is one function over a PassContext, in a file of its own.
//
// A pass changes the graph in place and keeps the roots valid: what is fetched
// and what must run. It returns how much it did.

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/device/device.h"
#include "core/graph/node.h"

namespace tributary {

struct PassContext {
  Graph* graph = nullptr;
  std::vector<Tensor> fetches;                 // redirected as nodes are replaced
  std::vector<Node*> targets;                  // nodes that run for their effects
  std::unordered_set<const Node*> feeds;       // Placeholders that get a value from outside
  // Outputs of nodes that never change, found by FoldConstants (Const nodes
  // themselves are not listed).
  std::unordered_map<const Node*, std::vector<Tensor>> known;
  // Ops that a node replaced.
  std::unordered_map<const Node*, std::vector<std::string>> fused;
  std::vector<std::string> fusions;            // "MatMul+BiasAdd+Relu dense/MatMul"
  size_t fold_limit = size_t{1} << 20;         // larger results are computed in every run

  // The value of `tensor` when it never changes, else null.
  const Tensor* constant(const Tensor& tensor) const;
};

// Drops what neither fetches nor targets need. Returns the nodes dropped.
int Prune(PassContext& context);

// Evaluates nodes whose inputs never change, and those whose values depend on
// known shapes only; infers shapes again with what was learnt. With `replace`
// the nodes become Consts. Returns the nodes evaluated.
int FoldConstants(PassContext& context, bool replace);

// Common subexpressions: equal stateless ops on equal inputs become one. Returns
// the nodes merged away.
int MergeCommon(PassContext& context);

// Runs the registered rewrites. Returns the nodes that were replaced.
int Fuse(PassContext& context);

// Points every use of a key at its value; fetches, control edges and targets
// included (a control edge or target moves to the node of the new tensor).
using Redirections = std::unordered_map<const Node*, std::vector<Tensor>>;
void Redirect(PassContext& context, const Redirections& map);

}  // namespace tributary

#pragma once
// First half of building a plan: a private copy of the graph with the shapes of
// the feeds, run through the passes, and a prepared kernel for every node.

#include "core/graph/kernel.h"
#include "core/passes/pass.h"
#include "core/runtime/plan.h"

namespace tributary {

struct PreparedNode {
  Node* node = nullptr;
  std::unique_ptr<Kernel> kernel;  // null: nothing to launch
  AsyncKernel* async = nullptr;    // the kernel, if it is one
  std::vector<PrepareContext::Pair> forwards, in_place;
  std::vector<PrepareContext::Place> places;
  size_t scratch_bytes = 0;
  bool only_reads = false;         // its resource inputs
};

struct PreparedGraph {
  std::unique_ptr<Graph> graph;
  std::vector<Node*> feeds;      // null: nothing uses this feed
  std::vector<Tensor> fetches;
  std::vector<PreparedNode> nodes;  // those with something to run, in order
  std::unordered_map<const Node*, std::vector<std::string>> fused;
};

// Arguments are those of Plan::Build; fills the counts of `report`.
PreparedGraph PrepareGraph(const Graph& graph, const std::vector<Tensor>& feeds,
                           const std::vector<TensorSpec>& feed_specs,
                           const std::vector<Tensor>& fetches,
                           const std::vector<Node*>& targets, const PlanOptions& options,
                           PlanReport* report);

}  // namespace tributary

#pragma once
// The order in which a plan runs its nodes.
//
// Creation order, except that asynchronous nodes start as soon as their inputs
// are there (what only they need is computed early too) and are waited for as
// late as possible: before the first node that needs them, or at the end.
// Stateful nodes that share a variable keep their order; so do asynchronous
// nodes among themselves (every rank must issue its collectives in one order),
// and those and nodes with effects outside of any variable.

#include <map>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/graph/node.h"

namespace tributary {

struct ScheduledStep {
  Node* node = nullptr;
  bool finish = false;  // wait for an asynchronous node
};

// What the scheduler must know of kernels.
struct ScheduleHints {
  std::unordered_set<const Node*> asynchronous;
  std::unordered_set<const Node*> reads;  // stateful, but only look at their variables
  // Output of a node -> the read (node and output) that made it a view of a
  // variable's memory.
  std::map<std::pair<const Node*, int>, std::pair<const Node*, int>> views;
};

// `graph` is pruned and in topological order. Steps of all its nodes.
std::vector<ScheduledStep> MakeSchedule(const Graph& graph, const ScheduleHints& hints);

// The handles (VarHandleOp, Placeholder) behind a node's resource inputs.
std::vector<const Node*> TouchedHandles(const Node& node);

// For each handle of the graph, the handles whose variables share bytes with its
// own (itself among them): a flat bucket overlaps each of its members.
using HandleOverlaps = std::unordered_map<const Node*, std::vector<const Node*>>;
HandleOverlaps FindOverlaps(const Graph& graph);

}  // namespace tributary

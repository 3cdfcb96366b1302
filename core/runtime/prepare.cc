#include "core/runtime/prepare.h"

namespace tributary {
namespace {

using NodeMap = std::unordered_map<const Node*, Node*>;

std::string FeedName(const Tensor& feed) {
  return fmt::format("{}:{}", feed.node()->name(), feed.index());
}

void CheckFeeds(const Graph& graph, const std::vector<Tensor>& feeds,
                const std::vector<TensorSpec>& specs) {
  if (feeds.size() != specs.size()) {
    throw InvalidArgumentError("[plan] expected {} feed specs, got {}", feeds.size(),
                               specs.size());
  }
  std::set<std::pair<const Node*, int>> seen;
  for (size_t i = 0; i < feeds.size(); ++i) {
    if (!feeds[i].IsSymbolic() || feeds[i].node()->graph() != &graph) {
      throw InvalidArgumentError("[plan] feed {} is not a tensor of this graph", i);
    }
    const TensorSpec declared = feeds[i].spec();
    if (declared.dtype != specs[i].dtype || !declared.shape.IsCompatibleWith(specs[i].shape) ||
        !specs[i].shape.IsFullyDefined()) {
      throw InvalidArgumentError("[plan] feed '{}' expects {}, got {}", FeedName(feeds[i]),
                                 declared.ToString(), specs[i].ToString());
    }
    if (!seen.insert({feeds[i].node(), feeds[i].index()}).second) {
      throw InvalidArgumentError("[plan] '{}' is fed twice", FeedName(feeds[i]));
    }
  }
}

bool IsSource(const Node& node) { return node.op() == "Placeholder"; }

// The clone, with a Placeholder in place of a fed tensor that something computes.
void Clone(const Graph& graph, const std::vector<Tensor>& feeds,
           const std::vector<TensorSpec>& specs, NodeMap* map, PreparedGraph* prepared) {
  std::unordered_map<const Node*, TensorSpec> sources;
  for (size_t i = 0; i < feeds.size(); ++i) {
    if (IsSource(*feeds[i].node())) sources[feeds[i].node()] = specs[i];
  }
  prepared->graph = graph.Clone(map, sources);
  for (size_t i = 0; i < feeds.size(); ++i) {
    Node* node = map->at(feeds[i].node());
    prepared->feeds.push_back(node);
    if (IsSource(*node)) continue;
    Node* source =
        prepared->graph->Placeholder(specs[i].dtype, specs[i].shape, node->name() + "/fed").node();
    prepared->graph->PlaceBefore(source, node);
    for (const auto& user : prepared->graph->nodes()) {
      for (int k = 0; k < user->num_inputs(); ++k) {
        const Tensor& input = user->input(k);
        if (input.node() == node && input.index() == feeds[i].index()) {
          user->set_input(k, source->out());
        }
      }
    }
    prepared->feeds.back() = source;
  }
}

std::vector<Tensor> MapFetches(const std::vector<Tensor>& fetches, const Graph& graph,
                               const std::vector<Tensor>& feeds, const NodeMap& map,
                               const std::vector<Node*>& fed) {
  std::vector<Tensor> mapped;
  for (const Tensor& fetch : fetches) {
    if (!fetch.IsSymbolic() || fetch.node()->graph() != &graph) {
      throw InvalidArgumentError("[plan] fetch {} is not a tensor of this graph", mapped.size());
    }
    mapped.push_back(map.at(fetch.node())->out(fetch.index()));
    for (size_t i = 0; i < feeds.size(); ++i) {
      if (feeds[i].node() == fetch.node() && feeds[i].index() == fetch.index()) {
        mapped.back() = fed[i]->out();
      }
    }
  }
  return mapped;
}

int PruneGraph(PassContext& context, PreparedGraph* prepared) {
  const int pruned = Prune(context);
  for (Node*& feed : prepared->feeds) {
    if (feed && !context.feeds.count(feed)) feed = nullptr;
  }
  return pruned;
}

void RunPasses(PassContext& context, const PlanOptions& options, PreparedGraph* prepared,
               PlanReport* report) {
  context.graph->SortTopologically();
  report->nodes_traced = static_cast<int>(context.graph->nodes().size());
  report->nodes_pruned = PruneGraph(context, prepared);
  report->nodes_folded = FoldConstants(context, options.fold);
  if (!options.fold) report->nodes_folded = 0;
  if (options.cse) report->nodes_merged = MergeCommon(context);
  if (options.fuse) {
    report->nodes_fused = Fuse(context);
    report->fusions = context.fusions;
  }
  report->nodes_pruned += PruneGraph(context, prepared);
  prepared->fetches = context.fetches;
  prepared->fused = std::move(context.fused);
}

void RequireShapes(const Node& node) {
  for (const TensorSpec& output : node.outputs()) {
    if (!output.shape.IsFullyDefined()) {
      throw UnimplementedError("[plan] node '{}' ({}): the shape of an output is not known "
                               "before it runs: {}; plans need static shapes",
                               node.name(), node.op(), output.ToString());
    }
  }
}

// What has a value without running: feeds, constants, variables.
bool IsGiven(const PassContext& context, const Node& node) {
  if (context.feeds.count(&node) || node.constant() || node.variable()) return true;
  if (node.op() == "Placeholder") {
    throw InvalidArgumentError("[plan] placeholder '{}' ({}) must be fed", node.name(),
                               node.output(0).ToString());
  }
  if (node.op() == "VarHandleOp") {
    throw FailedPreconditionError("[plan] the handle '{}' has no variable; run graphs that were "
                                  "read from a file through a Session",
                                  node.name());
  }
  return false;
}

PreparedNode PrepareNode(const PassContext& context, Node* node, Device* device) {
  std::vector<TensorSpec> specs;
  std::vector<const Tensor*> constants;
  for (const Tensor& input : node->inputs()) {
    specs.push_back(input.spec());
    constants.push_back(context.constant(input));
  }
  PreparedNode prepared;
  prepared.node = node;
  PrepareContext prepare(node->op(), node->attrs(), specs, node->outputs(), constants, device);
  try {
    prepared.kernel = FindKernel(node->schema(), node->attrs(), specs, device->type())(prepare);
  } catch (const Error& e) {
    ThrowError(e.code(), fmt::format("{} (preparing node '{}')", e.what(), node->name()));
  }
  prepared.async = dynamic_cast<AsyncKernel*>(prepared.kernel.get());
  prepared.forwards = prepare.forwards();
  prepared.in_place = prepare.in_place();
  prepared.places = prepare.places();
  prepared.scratch_bytes = prepare.scratch_bytes();
  prepared.only_reads = prepare.reads_only() || (!prepared.kernel && !prepared.forwards.empty());
  return prepared;
}

}  // namespace

PreparedGraph PrepareGraph(const Graph& graph, const std::vector<Tensor>& feeds,
                           const std::vector<TensorSpec>& feed_specs,
                           const std::vector<Tensor>& fetches,
                           const std::vector<Node*>& targets, const PlanOptions& options,
                           PlanReport* report) {
  CheckFeeds(graph, feeds, feed_specs);
  PreparedGraph prepared;
  NodeMap map;
  Clone(graph, feeds, feed_specs, &map, &prepared);
  PassContext context;
  context.graph = prepared.graph.get();
  context.fetches = MapFetches(fetches, graph, feeds, map, prepared.feeds);
  for (const Node* target : targets) context.targets.push_back(map.at(target));
  context.feeds.insert(prepared.feeds.begin(), prepared.feeds.end());
  RunPasses(context, options, &prepared, report);
  for (const auto& node : prepared.graph->nodes()) {
    if (IsGiven(context, *node)) continue;
    RequireShapes(*node);
    prepared.nodes.push_back(PrepareNode(context, node.get(), options.device));
  }
  return prepared;
}

}  // namespace tributary

#include "trainer/checkpoint/trackable.h"

#include "core/base/errors.h"
#include "core/base/strings.h"
#include "core/proto/checkpoint.pb.h"

namespace tributary {
namespace {

constexpr const char* kValue = "VARIABLE_VALUE";
constexpr const char* kMarker = ".ATTRIBUTES/";

// As in trackable_utils.py: an edge may contain what separates edges.
std::string EscapeEdge(const std::string& name) {
  std::string escaped;
  for (const char c : name) {
    if (c == '.') {
      escaped += "..";
    } else if (c == '/') {
      escaped += ".S";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// A node in breadth-first order, with the escaped route to it.
struct Visited {
  TrackablePtr node;
  std::string path;
};

std::vector<Visited> BreadthFirst(const TrackablePtr& root, bool with_hidden = true) {
  std::vector<Visited> order = {{root, ""}};
  std::set<const Trackable*> seen = {root.get()};
  for (size_t i = 0; i < order.size(); ++i) {
    const Visited parent = order[i];
    for (const Trackable::Edge& edge : parent.node->edges) {
      if (edge.hidden && !with_hidden) continue;
      if (!seen.insert(edge.node.get()).second) continue;
      const std::string name = EscapeEdge(edge.name);
      order.push_back({edge.node, parent.path.empty() ? name : parent.path + "/" + name});
    }
  }
  return order;
}

std::string KeyOf(const std::string& path) {
  return (path.empty() ? "" : path + "/") + kMarker + kValue;
}

// True for nodes that hold a value or lead to one.
std::vector<bool> LeadsToValues(const std::vector<Visited>& order,
                                const std::map<const Trackable*, int>& ids) {
  std::vector<bool> leads(order.size());
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = order.size(); i-- > 0;) {
      if (leads[i]) continue;
      const Trackable& node = *order[i].node;
      leads[i] = node.tensor.defined() ||
                 std::any_of(node.edges.begin(), node.edges.end(),
                             [&](const auto& edge) {
                               return !edge.hidden && leads[ids.at(edge.node.get())];
                             });
      changed = changed || leads[i];
    }
  }
  return leads;
}

using Graph = proto::TrackableObjectGraph;

// Child of a stored node by edge name; -1 when there is none.
int ChildOf(const Graph& graph, int id, const std::string& name) {
  for (const auto& child : graph.nodes(id).children()) {
    if (child.local_name() == name) return child.node_id();
  }
  return -1;
}

const std::string* ValueKey(const Graph& graph, int id) {
  for (const auto& attribute : graph.nodes(id).attributes()) {
    if (attribute.name() == kValue) return &attribute.checkpoint_key();
  }
  return nullptr;
}

void CheckGraph(const Graph& graph, const std::string& file) {
  for (const auto& node : graph.nodes()) {
    for (const auto& child : node.children()) {
      if (child.node_id() < 0 || child.node_id() >= graph.nodes_size()) {
        throw DataLossError("[checkpoint] {} is corrupt; its object graph names node {} of {}",
                            file, child.node_id(), graph.nodes_size());
      }
    }
  }
  if (graph.nodes_size() == 0) {
    throw DataLossError("[checkpoint] {} is corrupt; its object graph is empty", file);
  }
}

}  // namespace

TrackablePtr Trackable::Variable(std::string full_name, Tensor storage) {
  auto node = Container();
  node->full_name = std::move(full_name);
  node->tensor = std::move(storage);
  return node;
}

TrackablePtr Trackable::Add(const std::string& path, TrackablePtr node) {
  const size_t slash = path.find('/');
  const std::string name = path.substr(0, slash);
  const auto edge = std::find_if(edges.begin(), edges.end(),
                                 [&](const Edge& e) { return e.name == name; });
  if (slash != std::string::npos) {
    const TrackablePtr child = edge == edges.end() ? Container() : edge->node;
    if (edge == edges.end()) edges.push_back({name, child});
    return child->Add(path.substr(slash + 1), std::move(node));
  }
  if (edge == edges.end()) {
    edges.push_back({name, node});
  } else if (edge->node != node) {
    throw InvalidArgumentError("[checkpoint] two objects are named '{}'", name);
  }
  return node;
}

TrackablePtr Trackable::Find(const std::string& path) const {
  const size_t slash = path.find('/');
  for (const Edge& edge : edges) {
    if (edge.name != path.substr(0, slash)) continue;
    return slash == std::string::npos ? edge.node : edge.node->Find(path.substr(slash + 1));
  }
  return nullptr;
}

std::vector<TrackedVariable> ListVariables(const TrackablePtr& root) {
  std::vector<TrackedVariable> variables;
  for (const Visited& v : BreadthFirst(root)) {
    if (v.node->tensor.defined()) variables.push_back({KeyOf(v.path), v.node});
  }
  return variables;
}

std::string SerializeObjectGraph(const TrackablePtr& root) {
  std::map<const Trackable*, std::string> keys;
  for (const TrackedVariable& v : ListVariables(root)) keys[v.node.get()] = v.key;
  const std::vector<Visited> order = BreadthFirst(root, /*with_hidden=*/false);
  std::map<const Trackable*, int> ids;
  for (size_t i = 0; i < order.size(); ++i) ids[order[i].node.get()] = static_cast<int>(i);
  const std::vector<bool> leads = LeadsToValues(order, ids);
  Graph graph;
  for (size_t i = 0; i < order.size(); ++i) {
    const Trackable& node = *order[i].node;
    auto* out = graph.add_nodes();
    for (const Trackable::Edge& edge : node.edges) {
      if (edge.hidden) continue;
      auto* child = out->add_children();
      child->set_node_id(ids.at(edge.node.get()));
      child->set_local_name(edge.name);
    }
    if (node.tensor.defined()) {
      auto* value = out->add_attributes();
      value->set_name(kValue);
      value->set_full_name(node.full_name);
      value->set_checkpoint_key(keys.at(&node));
    }
    out->mutable_has_checkpoint_values()->set_value(leads[i]);
  }
  return graph.SerializeAsString();
}

GraphMatch MatchObjectGraph(const std::string& bytes, const TrackablePtr& root,
                            const std::string& file) {
  Graph graph;
  if (!graph.ParseFromString(bytes)) {
    throw DataLossError("[checkpoint] {} is corrupt; its object graph can't be parsed", file);
  }
  CheckGraph(graph, file);
  std::map<const Trackable*, int> stored = {{root.get(), 0}};
  std::vector<TrackablePtr> order = {root};
  for (size_t i = 0; i < order.size(); ++i) {
    const TrackablePtr node = order[i];
    for (const Trackable::Edge& edge : node->edges) {
      if (stored.contains(edge.node.get())) continue;
      const int id = ChildOf(graph, stored[node.get()], edge.name);
      if (id < 0) continue;
      stored[edge.node.get()] = id;
      order.push_back(edge.node);
    }
  }
  GraphMatch match;
  for (TrackedVariable& variable : ListVariables(root)) {
    const auto id = stored.find(variable.node.get());
    const std::string* key = id == stored.end() ? nullptr : ValueKey(graph, id->second);
    if (key) {
      match.matched.push_back({*key, variable.node});
    } else {
      match.unmatched.push_back(std::move(variable));
    }
  }
  return match;
}

}  // namespace tributary

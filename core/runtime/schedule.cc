#include "core/runtime/schedule.h"

#include <queue>

#include "core/runtime/variable.h"

namespace tributary {
namespace {

class Scheduler {
 public:
  Scheduler(const Graph& graph, const ScheduleHints& hints)
      : hints_(hints), overlaps_(FindOverlaps(graph)) {
    for (const auto& node : graph.nodes()) nodes_.push_back(node.get());
    for (size_t i = 0; i < nodes_.size(); ++i) index_[nodes_[i]] = static_cast<int>(i);
    before_.resize(nodes_.size());
    after_.resize(nodes_.size());
  }

  std::vector<ScheduledStep> Run() {
    AddEdges();
    FindEager();
    const std::vector<int> order = Order();
    return AddFinishes(order);
  }

 private:
  void Edge(int from, int to) {
    if (from == to) return;
    before_[to].push_back(from);
    after_[from].push_back(to);
  }

  void AddEdges() {
    std::unordered_map<const Node*, int> last_write;
    std::unordered_map<const Node*, std::vector<int>> reads_since;
    int last_async = -1, last_world = -1;
    for (int i = 0; i < static_cast<int>(nodes_.size()); ++i) {
      const Node* node = nodes_[i];
      for (const Tensor& input : node->inputs()) Edge(index_.at(input.node()), i);
      for (const Node* control : node->control_inputs()) Edge(index_.at(control), i);
      const bool async = hints_.asynchronous.count(node);
      if (!node->schema().stateful && !async) continue;
      const std::vector<const Node*> handles = TouchedHandles(*node);
      for (const Node* handle : handles) {
        for (const Node* other : overlaps_.at(handle)) {
          const auto write = last_write.find(other);
          if (write != last_write.end()) Edge(write->second, i);
        }
        if (hints_.reads.count(node)) {
          reads_since[handle].push_back(i);
          continue;
        }
        for (const Node* other : overlaps_.at(handle)) {
          for (int read : reads_since[other]) Edge(read, i);
        }
        reads_since[handle].clear();
        last_write[handle] = i;
      }
      // Effects on the world outside: kept in program order.
      const bool world = handles.empty() && node->num_inputs() + node->num_outputs() > 0 &&
                         !node->variable();
      if (async || world) {
        if (last_world >= 0) Edge(last_world, i);
        if (async && last_async >= 0) Edge(last_async, i);
        if (world && !async && last_async >= 0) Edge(last_async, i);
        if (world) last_world = i;
        if (async) last_async = i;
      }
    }
  }

  // Asynchronous nodes, and stateless ones that nothing but those need.
  void FindEager() {
    eager_.assign(nodes_.size(), false);
    for (int i = static_cast<int>(nodes_.size()) - 1; i >= 0; --i) {
      if (hints_.asynchronous.count(nodes_[i])) {
        eager_[i] = true;
      } else if (!nodes_[i]->schema().stateful && !after_[i].empty() &&
                 nodes_[i]->num_inputs() > 0) {
        eager_[i] = std::all_of(after_[i].begin(), after_[i].end(),
                                [&](int user) { return eager_[user]; });
      }
    }
  }

  // Lists what is ready: eager nodes first, else in creation order.
  std::vector<int> Order() const {
    std::vector<int> waiting(nodes_.size());
    using Ready = std::priority_queue<std::pair<bool, int>, std::vector<std::pair<bool, int>>,
                                      std::greater<>>;
    Ready ready;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      waiting[i] = static_cast<int>(before_[i].size());
      if (waiting[i] == 0) ready.push({!eager_[i], static_cast<int>(i)});
    }
    std::vector<int> order;
    while (!ready.empty()) {
      const int i = ready.top().second;
      ready.pop();
      order.push_back(i);
      for (int next : after_[i]) {
        if (--waiting[next] == 0) ready.push({!eager_[next], next});
      }
    }
    if (order.size() != nodes_.size()) throw InternalError("[plan] the graph has a cycle");
    return order;
  }

  std::vector<ScheduledStep> AddFinishes(const std::vector<int>& order) const {
    std::vector<ScheduledStep> steps;
    std::vector<int> running;
    auto finish = [&](int i) {
      steps.push_back({nodes_[i], true});
      std::erase(running, i);
    };
    for (int i : order) {
      const std::vector<int> started = running;
      for (int other : started) {
        if (MustWait(i, other)) finish(other);
      }
      steps.push_back({nodes_[i], false});
      if (hints_.asynchronous.count(nodes_[i])) running.push_back(i);
    }
    while (!running.empty()) finish(running.front());
    return steps;
  }

  // `node` needs what `async` produces, or changes what `async` is looking at.
  bool MustWait(int node, int async) const {
    const auto& needs = before_[node];
    if (std::find(needs.begin(), needs.end(), async) != needs.end() &&
        !OnlyOrdered(node, async)) {
      return true;
    }
    if (!nodes_[node]->schema().stateful || hints_.reads.count(nodes_[node])) return false;
    const std::vector<const Node*> written = TouchedHandles(*nodes_[node]);
    const std::vector<const Node*> looked = SeenHandles(*nodes_[async]);
    return std::any_of(written.begin(), written.end(), [&](const Node* handle) {
      const auto& shared = overlaps_.at(handle);
      return std::find_first_of(looked.begin(), looked.end(), shared.begin(), shared.end()) !=
             looked.end();
    });
  }

  // Two asynchronous nodes are merely started in order.
  bool OnlyOrdered(int node, int async) const {
    const Node* n = nodes_[node];
    if (!hints_.asynchronous.count(n)) return false;
    const Node* a = nodes_[async];
    for (const Tensor& input : n->inputs()) {
      if (input.node() == a) return false;
    }
    const auto& control = n->control_inputs();
    if (std::find(control.begin(), control.end(), a) != control.end()) return false;
    for (const Node* handle : TouchedHandles(*n)) {
      const auto touched = TouchedHandles(*a);
      const auto& shared = overlaps_.at(handle);
      if (std::find_first_of(touched.begin(), touched.end(), shared.begin(), shared.end()) !=
          touched.end()) {
        return false;
      }
    }
    return true;
  }

  // Variables whose memory the node is handed or reads through a view.
  std::vector<const Node*> SeenHandles(const Node& node) const {
    std::vector<const Node*> handles = TouchedHandles(node);
    for (const Tensor& input : node.inputs()) {
      const auto view = hints_.views.find({input.node(), input.index()});
      if (view == hints_.views.end()) continue;
      const auto more = TouchedHandles(*view->second.first);
      handles.insert(handles.end(), more.begin(), more.end());
    }
    return handles;
  }

  const ScheduleHints& hints_;
  HandleOverlaps overlaps_;
  std::vector<Node*> nodes_;
  std::unordered_map<const Node*, int> index_;
  std::vector<std::vector<int>> before_, after_;
  std::vector<bool> eager_;
};

}  // namespace

std::vector<const Node*> TouchedHandles(const Node& node) {
  std::vector<const Node*> handles;
  for (const Tensor& input : node.inputs()) {
    if (input.dtype() != DType::kResource) continue;
    const Node* handle = input.node();
    while (!handle->variable() && handle->num_inputs() > 0 &&
           handle->input(0).dtype() == DType::kResource) {
      handle = handle->input(0).node();
    }
    handles.push_back(handle);
  }
  return handles;
}

HandleOverlaps FindOverlaps(const Graph& graph) {
  struct Range {
    const Node* handle;
    const char *begin, *end;
  };
  HandleOverlaps overlaps;
  std::vector<Range> ranges;
  for (const auto& node : graph.nodes()) {
    if (!node->variable()) {
      // A handle from outside is only known to be itself.
      if (node->num_outputs() > 0 && node->output(0).dtype == DType::kResource) {
        overlaps[node.get()] = {node.get()};
      }
      continue;
    }
    const Tensor& storage = node->variable()->storage();
    const auto* begin = static_cast<const char*>(storage.raw_data());
    ranges.push_back({node.get(), begin, begin + storage.bytes()});
  }
  for (const Range& a : ranges) {
    for (const Range& b : ranges) {
      if (a.handle == b.handle || (a.begin < b.end && b.begin < a.end)) {
        overlaps[a.handle].push_back(b.handle);
      }
    }
  }
  return overlaps;
}

std::vector<ScheduledStep> MakeSchedule(const Graph& graph, const ScheduleHints& hints) {
  return Scheduler(graph, hints).Run();
}

}  // namespace tributary

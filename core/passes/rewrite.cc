// The driver of registered rewrites.
#include "core/passes/rewrite.h"

#include <deque>

#include "core/passes/pass.h"

namespace tributary {
namespace {

std::vector<Rewrite>& Table() {
  static auto* table = new std::vector<Rewrite>;
  return *table;
}

class UseTable final : public GraphUses {
 public:
  explicit UseTable(const PassContext& context) {
    for (const auto& node : context.graph->nodes()) Add(node.get());
    for (const Tensor& fetch : context.fetches) {
      ++counts_[fetch.node()][fetch.index()];
      ++pins_[fetch.node()];
    }
    for (const Node* target : context.targets) ++pins_[target];
  }

  int count(const Node* node, int index) const override {
    const auto it = counts_.find(node);
    if (it == counts_.end()) return 0;
    const auto use = it->second.find(index);
    return use == it->second.end() ? 0 : use->second;
  }
  const std::vector<Node*>& users(const Node* node) const override {
    static const std::vector<Node*> kNone;
    const auto it = users_.find(node);
    return it == users_.end() ? kNone : it->second;
  }
  bool pinned(const Node* node) const override {
    const auto it = pins_.find(node);
    return it != pins_.end() && it->second > 0;
  }
  bool unused(const Node* node) const { return users(node).empty() && !pinned(node); }

  // Counts the edges that lead into `node`.
  void Add(Node* node) {
    for (const Tensor& input : node->inputs()) {
      ++counts_[input.node()][input.index()];
      if (++edges_[{input.node(), node}] == 1) users_[input.node()].push_back(node);
    }
    for (const Node* control : node->control_inputs()) Pin(control, 1);
  }
  void Remove(Node* node) {
    for (const Tensor& input : node->inputs()) {
      --counts_[input.node()][input.index()];
      if (--edges_[{input.node(), node}] == 0) std::erase(users_[input.node()], node);
    }
    for (const Node* control : node->control_inputs()) Pin(control, -1);
  }
  void Pin(const Node* node, int change) { pins_[node] += change; }
  void MovePins(const Node* from, const Node* to) { pins_[to] += std::exchange(pins_[from], 0); }
  void MoveFetch(const Tensor& from, const Tensor& to) {
    --counts_[from.node()][from.index()];
    ++counts_[to.node()][to.index()];
  }

 private:
  std::unordered_map<const Node*, std::map<int, int>> counts_;
  std::unordered_map<const Node*, std::vector<Node*>> users_;
  std::map<std::pair<const Node*, const Node*>, int> edges_;
  std::unordered_map<const Node*, int> pins_;
};

class Driver {
 public:
  explicit Driver(PassContext& context) : context_(context), uses_(context) {}

  int Run() {
    const size_t limit = 16 * (context_.graph->nodes().size() + 64);
    for (const Rewrite& rewrite : Rewrites()) {
      std::deque<Node*> queue;
      for (const auto& node : context_.graph->nodes()) queue.push_back(node.get());
      size_t applied = 0;
      for (; !queue.empty(); queue.pop_front()) {
        Node* node = queue.front();
        if (dead_.count(node)) continue;
        const size_t before = context_.graph->nodes().size();
        const std::vector<Tensor> outputs = rewrite.fn(*context_.graph, node, uses_);
        if (outputs.empty()) continue;
        if (++applied > limit) {
          throw InternalError("[passes] rewrite '{}' does not come to an end", rewrite.name);
        }
        for (Node* added : Apply(node, outputs, before)) queue.push_back(added);
      }
    }
    for (const Node* node : dead_) context_.known.erase(node);
    context_.graph->Retain([&](const Node& node) { return !dead_.count(&node); });
    for (const auto& node : context_.graph->nodes()) {
      const auto it = origins_.find(node.get());
      if (it == origins_.end() || dead_.count(node.get())) continue;
      context_.graph->Rename(node.get(), it->second.name);
      context_.fused[node.get()] = it->second.ops;
      context_.fusions.push_back(Join(it->second.ops, "+") + " " + it->second.name);
    }
    return static_cast<int>(dead_.size());
  }

 private:
  // Of the node that a rewrite made: the ops it stands for, the first one's name.
  struct Origin {
    std::string name;
    int first_id = 0;
    std::vector<std::string> ops;
  };

  // Puts what the rewrite added in place of `node`; returns the added nodes.
  std::vector<Node*> Apply(Node* node, const std::vector<Tensor>& outputs, size_t before) {
    TRB_CHECK(static_cast<int>(outputs.size()) == node->num_outputs());
    std::vector<Node*> added;
    const auto& nodes = context_.graph->nodes();
    for (size_t i = before; i < nodes.size(); ++i) added.push_back(nodes[i].get());
    for (Node* n : added) {
      uses_.Add(n);
      context_.graph->PlaceBefore(n, node);
    }
    MoveUses(node, outputs);
    std::vector<Node*> removed;
    Remove(node, &removed);
    // In the order of what stood there at first.
    auto first_id = [this](const Node* node) {
      const auto it = origins_.find(node);
      return it == origins_.end() ? node->id() : it->second.first_id;
    };
    std::sort(removed.begin(), removed.end(),
              [&](const Node* a, const Node* b) { return first_id(a) < first_id(b); });
    if (std::find(added.begin(), added.end(), replacement_) != added.end()) {
      Record(replacement_, removed);
    }
    return added;
  }

  void MoveUses(Node* node, const std::vector<Tensor>& outputs) {
    const std::vector<Node*> users = uses_.users(node);
    for (Node* user : users) {
      uses_.Remove(user);
      for (int i = 0; i < user->num_inputs(); ++i) {
        if (user->input(i).node() == node) user->set_input(i, outputs[user->input(i).index()]);
      }
      uses_.Add(user);
    }
    Node* last = outputs[0].node();
    for (Tensor& fetch : context_.fetches) {
      if (fetch.node() != node) continue;
      uses_.MoveFetch(fetch, outputs[fetch.index()]);
      fetch = outputs[fetch.index()];
    }
    for (Node*& target : context_.targets) {
      if (target == node) target = last;
    }
    if (uses_.pinned(node)) {
      for (const auto& other : context_.graph->nodes()) {
        std::vector<Node*> control = other->control_inputs();
        if (std::find(control.begin(), control.end(), node) == control.end()) continue;
        std::replace(control.begin(), control.end(), node, last);
        other->set_control_inputs(std::move(control));
      }
      uses_.MovePins(node, last);
    }
    replacement_ = last;
  }

  // Takes `node` out, and then whatever nobody needs any more. What it waited
  // for, its replacement waits for.
  void Remove(Node* node, std::vector<Node*>* removed) {
    if (!uses_.unused(node) || !dead_.insert(node).second) return;
    removed->push_back(node);
    uses_.Remove(node);
    for (Node* control : node->control_inputs()) {
      const size_t before = replacement_->control_inputs().size();
      replacement_->AddControlInput(control);
      if (replacement_->control_inputs().size() > before) uses_.Pin(control, 1);
    }
    for (const Tensor& input : node->inputs()) {
      if (!input.node()->schema().stateful) Remove(input.node(), removed);
    }
  }

  void Record(const Node* fused, const std::vector<Node*>& removed) {
    Origin& origin = origins_[fused];
    for (const Node* node : removed) {
      if (node->constant()) continue;
      const auto it = origins_.find(node);
      if (origin.name.empty()) {
        origin.name = it == origins_.end() ? node->name() : it->second.name;
        origin.first_id = it == origins_.end() ? node->id() : it->second.first_id;
      }
      if (it == origins_.end()) {
        origin.ops.push_back(node->op());
      } else {
        origin.ops.insert(origin.ops.end(), it->second.ops.begin(), it->second.ops.end());
      }
    }
  }

  PassContext& context_;
  UseTable uses_;
  Node* replacement_ = nullptr;
  std::unordered_set<const Node*> dead_;
  std::unordered_map<const Node*, Origin> origins_;
};

}  // namespace

const std::vector<Rewrite>& Rewrites() { return Table(); }

RewriteRegistrar::RewriteRegistrar(std::string name, int priority, RewriteFn fn) {
  auto& table = Table();
  const auto at = std::find_if(table.begin(), table.end(), [&](const Rewrite& r) {
    return std::tie(r.priority, r.name) > std::tie(priority, name);
  });
  table.insert(at, {std::move(name), priority, std::move(fn)});
}

int Fuse(PassContext& context) { return Driver(context).Run(); }

}  // namespace tributary

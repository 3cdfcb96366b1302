#include "core/runtime/session.h"

#include <charconv>

#include "core/runtime/schedule.h"
#include "core/runtime/variable.h"

namespace tributary {
namespace {

constexpr char kVarHandle[] = "VarHandleOp";
constexpr char kAssign[] = "AssignVariableOp";

std::string Name(const Tensor& tensor) {
  return fmt::format("{}:{}", tensor.node()->name(), tensor.index());
}

Node* GetNode(const Graph& graph, const std::string& name) {
  if (Node* node = graph.FindNode(name)) return node;
  std::vector<std::string> names;
  for (const auto& node : graph.nodes()) names.push_back(node->name());
  throw NotFoundError("[session] there is no node '{}' in the graph{}", name,
                      DidYouMean(name, names));
}

}  // namespace

Session::Session(std::shared_ptr<Graph> graph, PlanOptions options)
    : graph_(std::move(graph)), options_(std::move(options)) {
  AttachVariables();
}

// Handles of one container and shared_name are one variable.
void Session::AttachVariables() {
  const auto& nodes = graph_->nodes();
  for (; nodes_seen_ < nodes.size(); ++nodes_seen_) {
    Node* node = nodes[nodes_seen_].get();
    if (node->op() != kVarHandle || node->variable()) continue;
    const AttrMap& attrs = node->attrs();
    std::string shared = attrs.GetOr<std::string>("shared_name", "");
    if (shared.empty()) shared = node->name();
    const TensorSpec& spec = node->output(0);
    if (!spec.shape.IsFullyDefined()) {
      throw UnimplementedError("[session] variable '{}' has shape {}; its shape must be known",
                               node->name(), spec.shape.ToString());
    }
    auto& variable = variables_[attrs.GetOr<std::string>("container", "") + "/" + shared];
    if (!variable) {
      variable = Variable::Create(shared, Tensor::Zeros(spec.handle_dtype, spec.shape));
      unassigned_.insert(variable.get());
    } else if (variable->dtype() != spec.handle_dtype || variable->shape() != spec.shape) {
      throw InvalidArgumentError("[session] variable '{}' is {} {} in one handle, {} in another",
                                 shared, DTypeName(variable->dtype()),
                                 variable->shape().ToString(), spec.ToString());
    }
    node->set_variable(variable);
  }
}

Node* Session::Find(const NodeRef& ref) const {
  return ref.node() ? ref.node() : GetNode(*graph_, ref.name());
}

Tensor Session::Find(const Ref& ref) const {
  if (ref.tensor().defined()) {
    if (ref.tensor().IsSymbolic()) return ref.tensor();
    throw InvalidArgumentError("[session] a fed or fetched tensor must be symbolic");
  }
  const std::string& name = ref.name();
  const size_t colon = name.rfind(':');
  int output = 0;
  if (colon != std::string::npos) {
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + colon + 1, end, output);
    if (parsed.ec != std::errc() || parsed.ptr != end) output = -1;
  }
  Node* node = GetNode(*graph_, name.substr(0, colon));
  if (output < 0 || output >= node->num_outputs()) {
    throw NotFoundError("[session] there is no tensor '{}'; node '{}' ({}) has {} outputs", name,
                        node->name(), node->op(), node->num_outputs());
  }
  return node->out(output);
}

Session::Request Session::Resolve(const Feeds& feeds, const std::vector<Ref>& fetches,
                                  const std::vector<NodeRef>& targets) const {
  Request request;
  for (const auto& [feed, value] : feeds) {
    request.feeds.push_back(Find(feed));
    request.values.push_back(value);
    if (!value.defined() || value.IsSymbolic()) {
      throw InvalidArgumentError("[session] feed '{}' has no value", Name(request.feeds.back()));
    }
  }
  for (const Ref& fetch : fetches) request.fetches.push_back(Find(fetch));
  for (const NodeRef& target : targets) request.targets.push_back(Find(target));
  return request;
}

std::string Session::Request::Key() const {
  std::string key;
  for (size_t i = 0; i < feeds.size(); ++i) {
    key += Name(feeds[i]) + "=" + values[i].spec().ToString() + ";";
  }
  for (const Tensor& fetch : fetches) key += "|" + Name(fetch);
  for (const Node* target : targets) key += "!" + target->name();
  return key;
}

std::vector<Tensor> Session::Run(const Feeds& feeds, const std::vector<Ref>& fetches,
                                 const std::vector<NodeRef>& targets) {
  AttachVariables();
  const Request request = Resolve(feeds, fetches, targets);
  Prepared& prepared = Prepare(request);
  for (const Variable* variable : prepared.needs) {
    if (unassigned_.count(variable)) {
      throw FailedPreconditionError("[session] variable '{}' is read before it was assigned; run "
                                    "its initializer first",
                                    variable->name());
    }
  }
  for (size_t i = 0; i < request.values.size(); ++i) {
    prepared.plan->BindInput(static_cast<int>(i), request.values[i]);
  }
  prepared.plan->Run();
  options_.device->stream()->Synchronize();
  for (const Variable* variable : prepared.assigns) unassigned_.erase(variable);
  std::vector<Tensor> results;
  for (int i = 0; i < prepared.plan->num_outputs(); ++i) {
    const Tensor& output = prepared.plan->output(i);
    results.push_back(output.dtype() == DType::kResource ? output : output.Clone());
  }
  return results;
}

Session::Prepared& Session::Prepare(const Request& request) {
  const std::string key = request.Key();
  const auto it = plans_.find(key);
  if (it != plans_.end()) return it->second;
  Prepared prepared;
  std::vector<TensorSpec> specs;
  for (const Tensor& value : request.values) specs.push_back(value.spec());
  FindAssignments(request, &prepared);
  prepared.plan = Plan::Build(*graph_, request.feeds, specs, request.fetches, request.targets,
                              options_);
  return plans_[key] = std::move(prepared);
}

void Session::FindAssignments(const Request& request, Prepared* prepared) const {
  std::set<std::pair<const Node*, int>> fed;
  for (const Tensor& feed : request.feeds) fed.insert({feed.node(), feed.index()});
  std::unordered_set<const Node*> needed;
  std::vector<const Node*> stack(request.targets.begin(), request.targets.end());
  for (const Tensor& fetch : request.fetches) {
    if (!fed.count({fetch.node(), fetch.index()})) stack.push_back(fetch.node());
  }
  while (!stack.empty()) {
    const Node* node = stack.back();
    stack.pop_back();
    if (!needed.insert(node).second) continue;
    for (const Tensor& input : node->inputs()) {
      if (!fed.count({input.node(), input.index()})) stack.push_back(input.node());
    }
    for (const Node* control : node->control_inputs()) stack.push_back(control);
  }
  std::unordered_set<const Variable*> assigned;
  for (const auto& node : graph_->nodes()) {
    if (!needed.count(node.get())) continue;
    for (const Node* handle : TouchedHandles(*node)) {
      Variable* variable = handle->variable().get();
      if (!variable || !unassigned_.count(variable) || assigned.count(variable)) continue;
      if (node->op() == kAssign) {
        assigned.insert(variable);
        prepared->assigns.push_back(variable);
      } else {
        prepared->needs.push_back(variable);
      }
    }
  }
}

void Session::InitializeVariables() {
  AttachVariables();
  std::vector<NodeRef> targets;
  for (const auto& node : graph_->nodes()) {
    if (node->op() != kVarHandle || !unassigned_.count(node->variable().get())) continue;
    targets.push_back(GetNode(*graph_, node->name() + "/Assign"));
  }
  if (!targets.empty()) Run({}, {}, targets);
}

}  // namespace tributary

#include "trainer/loop/program.h"

#include <algorithm>
#include <set>

#include "core/graph/node.h"

namespace tributary {

void Program::Figures::Reset() {
  loss.Reset();
  for (const MetricPtr& metric : metrics) metric->ResetState();
}

std::vector<double> Program::Figures::State() const {
  std::vector<double> state = {loss.total(), loss.count()};
  for (const MetricPtr& metric : metrics) {
    const std::vector<double> values = metric->StateValues();
    state.insert(state.end(), values.begin(), values.end());
  }
  return state;
}

void Program::Figures::SetState(std::span<const double> state) {
  const auto take = [&](const Module& module) {
    for (const VariablePtr& variable : module.variables()) {
      const int64_t count = variable->shape().NumElements();
      std::copy_n(state.begin(), count, variable->storage().mutable_data<double>());
      state = state.subspan(count);
    }
  };
  take(loss);
  for (const MetricPtr& metric : metrics) take(*metric);
}

std::vector<Tensor> Program::RegularizationLosses() const {
  std::vector<Tensor> losses;
  const auto add = [&](const Layer& layer) {
    for (Tensor& loss : layer.RegularizationLosses()) losses.push_back(std::move(loss));
  };
  add(*model);
  for (const Module* module : model->submodules()) {
    if (const auto* layer = dynamic_cast<const Layer*>(module)) add(*layer);
  }
  return losses;
}

BoundPlan::BoundPlan(std::string name, Function::Body body,
                     const std::vector<TensorSpec>& specs, const PlanOptions& options)
    : options_(options), specs_(specs), function_(std::move(name), std::move(body), std::nullopt, options),
      plan_(function_.plan(specs_)), bound_(specs_.size(), nullptr) {}

namespace {

// Whether anything that `tensor` is computed from has state.
bool Stateful(const Tensor& tensor) {
  std::vector<const Node*> todo = {tensor.node()};
  std::set<const Node*> seen;
  while (!todo.empty()) {
    const Node* node = todo.back();
    todo.pop_back();
    if (!seen.insert(node).second) continue;
    if (node->schema().stateful) return true;
    for (const Tensor& input : node->inputs()) todo.push_back(input.node());
  }
  return false;
}

}  // namespace

void BoundPlan::PlanLookups(const std::vector<Tensor>& ids) {
  if (ids.empty() || std::ranges::any_of(ids, Stateful)) return;
  const Function::Trace& trace = function_.trace(specs_);
  lookup_plan_ = Plan::Build(*trace.graph, trace.inputs, specs_, ids, {}, options_);
}

const std::vector<Tensor>* BoundPlan::LookupsOf(const std::vector<Tensor>& tensors) {
  if (!lookup_plan_) return nullptr;
  for (size_t i = 0; i < specs_.size(); ++i) {
    lookup_plan_->BindInput(static_cast<int>(i), tensors[i].raw_data());
  }
  lookup_plan_->Run();
  lookups_.resize(lookup_plan_->num_outputs());
  for (size_t i = 0; i < lookups_.size(); ++i) {
    lookups_[i] = lookup_plan_->output(static_cast<int>(i));
  }
  return &lookups_;
}

std::vector<TensorSpec> WithRows(std::vector<TensorSpec> element, int64_t rows) {
  for (TensorSpec& spec : element) spec.shape.set_dim(0, rows);
  return element;
}

}  // namespace tributary

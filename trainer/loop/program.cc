#include "trainer/loop/program.h"

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
    : specs_(specs), function_(std::move(name), std::move(body), std::nullopt, options),
      plan_(function_.plan(specs_)), bound_(specs_.size(), nullptr) {}

std::vector<TensorSpec> WithRows(std::vector<TensorSpec> element, int64_t rows) {
  for (TensorSpec& spec : element) spec.shape.set_dim(0, rows);
  return element;
}

}  // namespace tributary

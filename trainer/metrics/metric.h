#pragma once
// Metrics (keras.metrics): running figures whose state lives in variables and is
// updated inside the traced step. State is additive: summed over replicas it gives
// exactly the state that one replica with all the data would have.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/option_registry.h"
#include "core/tensor/tensor.h"
#include "trainer/model/module.h"

namespace tributary {

class Metric : public Module {
 public:
  explicit Metric(Options options);

  const Options& get_config() const { return options_; }

  // Adds a batch to the state, now or as nodes of the trace. Throws
  // InvalidArgumentError naming metric and shapes.
  virtual void UpdateState(const Tensor& y_true, const Tensor& y_pred) = 0;

  // The figure for a state of this layout (the elements of all state variables,
  // one after the other); the state may be a sum over replicas. 0 when empty.
  virtual double Result(std::span<const double> state) const = 0;
  double result() const;

  // float64 variables, in the order of Result.
  std::vector<VariablePtr> state() const { return variables(); }
  void ResetState();
  std::vector<double> StateValues() const;

 protected:
  VariablePtr AddState(const std::string& name, int64_t size = 1);

 private:
  Options options_;
};
using MetricPtr = std::shared_ptr<Metric>;

// What a metric is told of the model that it measures: "accuracy" (and "acc") is
// sparse-categorical, categorical or binary accuracy by the shapes, as in Keras.
struct MetricContext {
  TensorSpec y_true, y_pred;
  // Predictions are logits: metrics of probabilities (binary accuracy, AUC) pass
  // them through a sigmoid.
  bool logits = false;
};

using MetricRegistry = OptionRegistry<MetricPtr(const Options&, const MetricContext&)>;
MetricRegistry& Metrics();

// `options` and those that every metric has: name.
OptionTable MetricTable(std::string class_name, std::string doc,
                        std::vector<OptionSpec> options,
                        std::vector<std::string> aliases = {});

#define REGISTER_METRIC(...)                                           \
  [[maybe_unused]] static const ::tributary::MetricRegistry::Registrar \
      TRB_UNIQUE(trb_metric_)(::tributary::Metrics(), __VA_ARGS__)

}  // namespace tributary

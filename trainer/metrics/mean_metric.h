#pragma once
// Metrics that are a mean over elements: state [total, count].

#include "trainer/metrics/metric.h"

namespace tributary {

class MeanMetric : public Metric {
 public:
  explicit MeanMetric(const Options& options);

  void UpdateState(const Tensor& y_true, const Tensor& y_pred) final;
  double Result(std::span<const double> state) const override {
    return state[1] == 0 ? 0 : state[0] / state[1];
  }

 protected:
  // One number (or bool) an element.
  virtual Tensor Values(const Tensor& y_true, const Tensor& y_pred) const = 0;

 private:
  VariablePtr state_;
};

}  // namespace tributary

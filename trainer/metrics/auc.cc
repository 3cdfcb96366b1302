// AUC: area under the ROC curve from histograms of the predictions for positive
// and negative targets (keras.metrics.AUC, evenly spaced thresholds).

#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/state_ops.h"
#include "trainer/losses/shapes.h"
#include "trainer/metrics/metric.h"

namespace tributary {
namespace {

class Auc final : public Metric {
 public:
  Auc(const Options& o, bool logits)
      : Metric(o), thresholds_(o.Int("num_thresholds")), logits_(logits),
        state_(AddState("histograms", 2 * thresholds_)) {}

  void UpdateState(const Tensor& y_true, const Tensor& y_pred) override {
    const Tensor target =
        ops::Reshape(losses::TargetLike(y_true, y_pred, name()), {-1});
    Tensor p = ops::Reshape(y_pred, {-1});
    if (logits_) p = ops::Sigmoid(p);
    const auto scalar = [&](double value) { return ops::ScalarLike(p, value); };
    const double last = static_cast<double>(thresholds_ - 1);
    const Tensor bin = ops::ClipByValue(
        ops::Sub(ops::Ceil(ops::Mul(p, scalar(last))), scalar(1)), scalar(0), scalar(last));
    // Positives fill the first histogram, negatives the second.
    const Tensor offset = ops::Select(ops::Greater(target, scalar(0.5)), scalar(0),
                                      scalar(static_cast<double>(thresholds_)));
    const Tensor index = ops::Cast(ops::Add(bin, offset), DType::kInt32);
    const Tensor counts = ops::UnsortedSegmentSum(
        ops::OnesLike(p), index, Tensor(static_cast<int32_t>(2 * thresholds_)));
    ops::AssignAddVariableOp(state_->handle(), ops::Cast(counts, DType::kFloat64));
  }

  double Result(std::span<const double> state) const override {
    const double* positive = state.data();
    const double* negative = positive + thresholds_;
    double positives = 0, negatives = 0;
    for (int64_t i = 0; i < thresholds_; ++i) {
      positives += positive[i];
      negatives += negative[i];
    }
    if (positives == 0 || negatives == 0) return 0;
    // From the highest threshold down: trapezoids between neighbours.
    double area = 0, tp = positive[thresholds_ - 1], fp = negative[thresholds_ - 1];
    for (int64_t i = thresholds_ - 2; i >= 0; --i) {
      const double next_tp = tp + positive[i], next_fp = fp + negative[i];
      area += (next_fp - fp) * (tp + next_tp) / 2;
      tp = next_tp;
      fp = next_fp;
    }
    return area / (positives * negatives);
  }

 private:
  int64_t thresholds_;
  bool logits_;
  VariablePtr state_;
};

REGISTER_METRIC(MetricTable("AUC", "Area under the ROC curve.",
                            {Opt("num_thresholds").Int().Min(2).Max(1000000).Default(200)},
                            {"auc"}),
                [](const Options& o, const MetricContext& context) {
                  return std::make_shared<Auc>(o, context.logits);
                });

}  // namespace
}  // namespace tributary

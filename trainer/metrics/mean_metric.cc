#include "trainer/metrics/mean_metric.h"

#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/nn_ops.h"
#include "ops/state_ops.h"
#include "trainer/losses/shapes.h"

namespace tributary {

MeanMetric::MeanMetric(const Options& options)
    : Metric(options), state_(AddState("total_count", 2)) {}

void MeanMetric::UpdateState(const Tensor& y_true, const Tensor& y_pred) {
  const Tensor values = Values(y_true, y_pred);
  const double count = static_cast<double>(values.NumElements());
  const Tensor sum = ops::Sum(ops::Cast(values, DType::kFloat32));
  ops::AssignAddVariableOp(
      state_->handle(), ops::Pack({ops::Cast(sum, DType::kFloat64), Tensor(count)}));
}

namespace {

class SparseCategoricalAccuracy final : public MeanMetric {
 public:
  using MeanMetric::MeanMetric;

 protected:
  Tensor Values(const Tensor& y_true, const Tensor& y_pred) const override {
    const Tensor target = losses::ClassTarget(y_true, y_pred, name());
    return ops::Equal(ops::ArgMax(y_pred, -1, target.dtype()), target);
  }
};

class CategoricalAccuracy final : public MeanMetric {
 public:
  using MeanMetric::MeanMetric;

 protected:
  Tensor Values(const Tensor& y_true, const Tensor& y_pred) const override {
    return ops::Equal(ops::ArgMax(losses::TargetLike(y_true, y_pred, name()), -1),
                      ops::ArgMax(y_pred, -1));
  }
};

class BinaryAccuracy final : public MeanMetric {
 public:
  BinaryAccuracy(const Options& o, bool logits, double threshold)
      : MeanMetric(o), logits_(logits), threshold_(threshold) {}

 protected:
  Tensor Values(const Tensor& y_true, const Tensor& y_pred) const override {
    const Tensor target = losses::TargetLike(y_true, y_pred, name());
    const Tensor p = logits_ ? ops::Sigmoid(y_pred) : y_pred;
    return ops::Equal(ops::Greater(p, ops::ScalarLike(p, threshold_)),
                      ops::Greater(target, ops::ScalarLike(target, 0.5)));
  }

 private:
  bool logits_;
  double threshold_;
};

// Log loss: of probabilities as Keras has it, of logits without their rounding.
class BinaryCrossentropy final : public MeanMetric {
 public:
  BinaryCrossentropy(const Options& o, bool logits) : MeanMetric(o), logits_(logits) {}

 protected:
  Tensor Values(const Tensor& y_true, const Tensor& y_pred) const override {
    const Tensor target = losses::TargetLike(y_true, y_pred, name());
    if (logits_) return ops::SigmoidCrossEntropyWithLogits(target, y_pred);
    const auto scalar = [&](double value) { return ops::ScalarLike(y_pred, value); };
    const Tensor p = ops::ClipByValue(y_pred, scalar(1e-7), scalar(1 - 1e-7));
    const Tensor one = scalar(1);
    return ops::Neg(ops::Add(ops::Mul(target, ops::Log(p)),
                             ops::Mul(ops::Sub(one, target), ops::Log(ops::Sub(one, p)))));
  }

 private:
  bool logits_;
};

class Difference final : public MeanMetric {
 public:
  Difference(const Options& o, bool squared) : MeanMetric(o), squared_(squared) {}

 protected:
  Tensor Values(const Tensor& y_true, const Tensor& y_pred) const override {
    const Tensor target = losses::TargetLike(y_true, y_pred, name());
    return squared_ ? ops::SquaredDifference(y_pred, target)
                    : ops::Abs(ops::Sub(y_pred, target));
  }

 private:
  bool squared_;
};

class Mean final : public MeanMetric {
 public:
  using MeanMetric::MeanMetric;

 protected:
  Tensor Values(const Tensor&, const Tensor& y_pred) const override { return y_pred; }
};

// keras.src.trainers.compile_utils.get_metric.
MetricPtr MakeAccuracy(const Options& o, const MetricContext& context) {
  const Shape& t = context.y_true.shape;
  const Shape& p = context.y_pred.shape;
  if (p.rank() < 1 || p.dim(-1) == 1) {
    return std::make_shared<BinaryAccuracy>(o, context.logits, 0.5);
  }
  const bool sparse = t.rank() < p.rank() || t.dim(-1) == 1;
  if (sparse) return std::make_shared<SparseCategoricalAccuracy>(o);
  return std::make_shared<CategoricalAccuracy>(o);
}

template <typename T>
MetricRegistry::Factory Plain() {
  return [](const Options& o, const MetricContext&) { return std::make_shared<T>(o); };
}
MetricRegistry::Factory Squared(bool squared) {
  return [squared](const Options& o, const MetricContext&) {
    return std::make_shared<Difference>(o, squared);
  };
}

REGISTER_METRIC(MetricTable("Accuracy", "How often predictions are right, by the shapes.", {},
                            {"acc"}),
                MakeAccuracy);
REGISTER_METRIC(MetricTable("SparseCategoricalAccuracy",
                            "How often the largest prediction is the class.", {}),
                Plain<SparseCategoricalAccuracy>());
REGISTER_METRIC(MetricTable("CategoricalAccuracy",
                            "How often the largest prediction is the largest target.", {}),
                Plain<CategoricalAccuracy>());
REGISTER_METRIC(MetricTable("BinaryAccuracy", "How often the prediction is on the right side.",
                            {Opt("threshold").Float().Default(0.5)}),
                [](const Options& o, const MetricContext& context) {
                  return std::make_shared<BinaryAccuracy>(o, context.logits,
                                                          o.Float("threshold"));
                });
REGISTER_METRIC(MetricTable("BinaryCrossentropy",
                            "Log loss: cross-entropy of independent yes-or-nos.", {},
                            {"log_loss"}),
                [](const Options& o, const MetricContext& context) {
                  return std::make_shared<BinaryCrossentropy>(o, context.logits);
                });
REGISTER_METRIC(MetricTable("MeanSquaredError", "Mean of squared differences.", {}, {"mse"}),
                Squared(true));
REGISTER_METRIC(MetricTable("MeanAbsoluteError", "Mean of absolute differences.", {}, {"mae"}),
                Squared(false));
REGISTER_METRIC(MetricTable("Mean", "Mean of the predictions.", {}), Plain<Mean>());

}  // namespace
}  // namespace tributary

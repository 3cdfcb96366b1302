// Metrics against Keras 3.15's values; state adds up over replicas exactly.

#include "ops/math_ops.h"
#include "tests/trainer/golden.h"
#include "trainer/metrics/metric.h"

namespace tributary {
namespace {

using testing::W;
using testing::X;

TensorSpec Spec(const Shape& shape, DType dtype = DType::kFloat32) {
  return {dtype, shape, DType::kInvalid};
}

MetricPtr Make(const char* name, const OptionNode& options = {},
               const MetricContext& context = {Spec({-1}), Spec({-1, 1}), false}) {
  return Metrics().Make(name, options, context);
}

Tensor Positive(const Tensor& x) {
  Tensor y = Tensor::Empty(DType::kFloat32, x.shape());
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    y.mutable_data<float>()[i] = x.data<float>()[i] > 0;
  }
  return y;
}
Tensor Probabilities(const Tensor& x) {
  Tensor p = Tensor::Empty(DType::kFloat32, x.shape());
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    p.mutable_data<float>()[i] = (x.data<float>()[i] + 1) / 2;
  }
  return p;
}

TEST(Auc, MatchesKeras) {
  const Tensor y = Positive(W({40})), p = Probabilities(X({40}));
  const MetricPtr auc = Make("AUC");
  auc->UpdateState(y, p);
  EXPECT_NEAR(auc->result(), 0.530303, 1e-6);
  const MetricPtr coarse = Make("AUC", {{"num_thresholds", 11}});
  coarse->UpdateState(y, p);
  EXPECT_NEAR(coarse->result(), 0.5290404, 1e-6);
}

TEST(Auc, OfPerfectAndReversedOrder) {
  const Tensor y = Tensor::FromVector<float>({0, 0, 1, 1});
  const MetricPtr good = Make("AUC"), bad = Make("AUC");
  good->UpdateState(y, Tensor::FromVector<float>({0.1f, 0.2f, 0.8f, 0.9f}));
  bad->UpdateState(y, Tensor::FromVector<float>({0.9f, 0.8f, 0.2f, 0.1f}));
  EXPECT_EQ(good->result(), 1);
  EXPECT_EQ(bad->result(), 0);
}

TEST(BinaryAccuracy, MatchesKeras) {
  const MetricPtr metric = Make("BinaryAccuracy");
  metric->UpdateState(Positive(W({40})), Probabilities(X({40})));
  EXPECT_NEAR(metric->result(), 0.525, 1e-7);
}

TEST(BinaryCrossentropy, MatchesKeras) {
  const MetricPtr metric = Make("BinaryCrossentropy");
  metric->UpdateState(Tensor::FromVector<float>({0, 1, 1}, {3, 1}),
                      Tensor::FromVector<float>({0.2f, 0.9f, 0}, {3, 1}));
  EXPECT_NEAR(metric->result(), 5.4822001, 1e-5);
}

TEST(BinaryCrossentropy, OfLogitsIsThatOfTheirProbabilities) {
  const MetricPtr logits = Make("log_loss", {}, {Spec({-1, 1}), Spec({-1, 1}), true});
  const MetricPtr plain = Make("log_loss");
  const Tensor y = Positive(W({40, 1})), x = X({40, 1});
  logits->UpdateState(y, x);
  plain->UpdateState(y, ops::Sigmoid(x));
  EXPECT_NEAR(logits->result(), plain->result(), 1e-6);
}

TEST(BinaryAccuracy, OfLogitsGoesThroughASigmoid) {
  const MetricPtr metric = Make("accuracy", {}, {Spec({-1, 1}), Spec({-1, 1}), true});
  metric->UpdateState(Tensor::FromVector<float>({1, 0}, {2, 1}),
                      Tensor::FromVector<float>({0.3f, -0.2f}, {2, 1}));
  EXPECT_EQ(metric->result(), 1);
}

TEST(Accuracy, IsChosenByTheShapes) {
  const MetricPtr sparse =
      Make("accuracy", {}, {Spec({-1}, DType::kInt32), Spec({-1, 3}), true});
  sparse->UpdateState(Tensor::FromVector<int32_t>({0, 2}),
                      Tensor::FromVector<float>({9, 1, 1, 9, 1, 1}, {2, 3}));
  EXPECT_EQ(sparse->result(), 0.5);
  EXPECT_EQ(sparse->name(), "accuracy");
  const MetricPtr categorical = Make("acc", {}, {Spec({-1, 3}), Spec({-1, 3}), true});
  categorical->UpdateState(Tensor::FromVector<float>({1, 0, 0, 1, 0, 0}, {2, 3}),
                           Tensor::FromVector<float>({9, 1, 1, 9, 1, 1}, {2, 3}));
  EXPECT_EQ(categorical->result(), 1);
}

TEST(MeanMetrics, MatchKeras) {
  const MetricPtr mse = Make("mse"), mae = Make("MeanAbsoluteError"), mean = Make("Mean");
  for (const MetricPtr& metric : {mse, mae, mean}) metric->UpdateState(W({3, 2}), X({3, 2}));
  EXPECT_NEAR(mse->result(), 0.25113332, 1e-6);
  EXPECT_NEAR(mae->result(), 0.46333328, 1e-6);
  EXPECT_EQ(mse->name(), "mean_squared_error");
  mse->ResetState();
  EXPECT_EQ(mse->result(), 0);
}

TEST(Metric, StateOfPartsAddsUpToTheWhole) {
  const Tensor y = Positive(W({40})), p = Probabilities(X({40}));
  for (const char* name : {"AUC", "BinaryAccuracy", "BinaryCrossentropy", "Mean"}) {
    const MetricPtr whole = Make(name), left = Make(name), right = Make(name);
    whole->UpdateState(y, p);
    left->UpdateState(y.Slice(0, 13), p.Slice(0, 13));
    right->UpdateState(y.Slice(13, 40), p.Slice(13, 40));
    std::vector<double> sum = left->StateValues();
    const std::vector<double> other = right->StateValues();
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += other[i];
    EXPECT_NEAR(left->Result(sum), whole->result(), 1e-7) << name;
  }
}

}  // namespace
}  // namespace tributary

// Losses against Keras 3.15's values; from_logits read off the model.

#include "ops/nn_ops.h"
#include "ops/math_ops.h"
#include "tests/trainer/golden.h"
#include "trainer/losses/loss.h"
#include "trainer/model/layer.h"

namespace tributary {
namespace {

using testing::W;
using testing::X;

Tensor Times(Tensor x, float factor) {
  for (int64_t i = 0; i < x.NumElements(); ++i) x.mutable_data<float>()[i] *= factor;
  return x;
}

float Value(const char* name, const OptionNode& options, const Tensor& y, const Tensor& p) {
  return (*Losses().Make(name, options))(y, p).item<float>();
}

const Tensor kClasses = Tensor::FromVector<int64_t>({1, 0, 2});
const Tensor kOneHot = Tensor::FromVector<float>({0, 1, 0, 1, 0, 0, 0, 0, 1}, {3, 3});
const OptionNode kLogits = {{"from_logits", true}};

TEST(SparseCategoricalCrossentropy, MatchesKeras) {
  const Tensor logits = Times(X({3, 3}), 2);
  EXPECT_NEAR(Value("SparseCategoricalCrossentropy", kLogits, kClasses, logits), 2.1297894,
              1e-5);
  EXPECT_NEAR(Value("SparseCategoricalCrossentropy", {}, kClasses, ops::Softmax(logits)),
              2.1297894, 1e-5);
}

TEST(SparseCategoricalCrossentropy, TakesAColumnOfClassesAndPositions) {
  const Tensor logits = Times(X({3, 3}), 2);
  const Tensor column = kClasses.Reshaped({3, 1});
  EXPECT_NEAR(Value("SparseCategoricalCrossentropy", kLogits, column, logits), 2.1297894,
              1e-5);
  const auto loss = Losses().Make("SparseCategoricalCrossentropy", kLogits);
  const Tensor per = loss->PerExample(Tensor::FromVector<int32_t>({0, 1, 2, 0}, {2, 2}),
                                      X({2, 2, 3}));
  EXPECT_EQ(per.shape(), (Shape{2, 2}));
}

TEST(SparseCategoricalCrossentropy, RefusesWhatDoesNotFit) {
  EXPECT_THROW(Value("SparseCategoricalCrossentropy", kLogits, X({3}), X({3, 3})),
               InvalidArgumentError);
  EXPECT_THROW(Value("SparseCategoricalCrossentropy", kLogits, kClasses, X({4, 3})),
               InvalidArgumentError);
}

TEST(CategoricalCrossentropy, MatchesKeras) {
  const Tensor logits = Times(X({3, 3}), 2);
  EXPECT_NEAR(Value("CategoricalCrossentropy",
                    {{"from_logits", true}, {"label_smoothing", 0.1}}, kOneHot, logits),
              2.0849006, 1e-5);
  EXPECT_NEAR(Value("CategoricalCrossentropy", {}, kOneHot, ops::Softmax(logits)), 2.1297894,
              1e-5);
}

TEST(BinaryCrossentropy, MatchesKeras) {
  const Tensor y = Tensor::FromVector<float>({1, 0, 1, 1}, {4, 1});
  const Tensor logits = Times(X({4, 1}), 3);
  EXPECT_NEAR(Value("BinaryCrossentropy", kLogits, y, logits), 1.3738647, 1e-5);
  EXPECT_NEAR(Value("BinaryCrossentropy", {}, y, ops::Sigmoid(logits)), 1.3738647, 1e-5);
  // Targets may be integers, and a vector for a column.
  EXPECT_NEAR(Value("BinaryCrossentropy", kLogits,
                    Tensor::FromVector<int32_t>({1, 0, 1, 1}), logits),
              1.3738647, 1e-5);
}

TEST(Regression, MatchesKeras) {
  EXPECT_NEAR(Value("MeanSquaredError", {}, W({3, 2}), X({3, 2})), 0.25113332, 1e-6);
  EXPECT_NEAR(Value("mse", {}, W({3, 2}), X({3, 2})), 0.25113332, 1e-6);
  EXPECT_NEAR(Value("MeanAbsoluteError", {}, W({3, 2}), X({3, 2})), 0.46333328, 1e-6);
  EXPECT_THROW(Value("mse", {}, W({3, 2}), X({2, 3})), InvalidArgumentError);
}

LayerPtr Last(const char* activation) {
  return MakeLayer("Dense", {{"units", 3}, {"activation", activation}});
}

TEST(FromLogits, IsReadOffTheLastActivation) {
  const auto loss = Losses().Make("SparseCategoricalCrossentropy", {});
  loss->ResolveFromLogits(*Last("linear"));
  EXPECT_TRUE(loss->from_logits());
  const auto other = Losses().Make("SparseCategoricalCrossentropy", {});
  other->ResolveFromLogits(*Last("softmax"));
  EXPECT_FALSE(other->from_logits());
}

TEST(FromLogits, AClashIsAnError) {
  const auto loss = Losses().Make("SparseCategoricalCrossentropy", kLogits);
  EXPECT_THROW(loss->ResolveFromLogits(*Last("softmax")), InvalidArgumentError);
  const auto binary = Losses().Make("BinaryCrossentropy", {{"from_logits", false}});
  EXPECT_THROW(binary->ResolveFromLogits(*Last("linear")), InvalidArgumentError);
  EXPECT_NO_THROW(binary->ResolveFromLogits(*Last("sigmoid")));
}

}  // namespace
}  // namespace tributary

// Ten steps of every optimizer land where Keras 3.15's do, through the trainer: flat
// buckets, slots, clipping and schedules included.

#include "tests/trainer/golden.h"
#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

using testing::W;
using testing::X;

struct Case {
  const char* name;
  OptionNode optimizer;  // {Name: {options}}
  std::vector<float> expected;  // kernel (3, 2), then bias (2)
};

OptionNode Cosine() {
  return OptionNode{{"CosineDecay", {{"initial_learning_rate", 0.1}, {"decay_steps", 8}}}};
}

// 0.5 mean squares of W(4, 3) * kernel + bias - X(4, 2), from kernel W, bias X.
std::vector<float> TenSteps(const OptionNode& optimizer) {
  const auto model = Sequential::Make({MakeLayer("Dense", {{"units", 2}})});
  model->BuildModel({{DType::kFloat32, {-1, 3}, DType::kInvalid}});
  model->variables()[0]->Assign(W({3, 2}));
  model->variables()[1]->Assign(X({2}));
  const auto& [name, options, mark] = optimizer.AsMap()->front();
  Trainer trainer(model, {.loss = Losses().Make("mse", {}),
                          .optimizer = Optimizers().Make(name, options)});
  const auto data = data::Dataset::FromTensorSlices({W({4, 3}), X({4, 2})}).Batch(4);
  trainer.Fit(data, {.epochs = 10});
  std::vector<float> out = model->variables()[0]->storage().ToVector<float>();
  for (const float b : model->variables()[1]->storage().values<float>()) out.push_back(b);
  return out;
}

class OptimizerTest : public ::testing::TestWithParam<Case> {};

TEST_P(OptimizerTest, FollowsKerasTrajectory) {
  const std::vector<float> actual = TenSteps(GetParam().optimizer);
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_NEAR(actual[i], GetParam().expected[i], 1e-5) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, OptimizerTest,
    ::testing::Values(
        Case{"Sgd", {{"SGD", {{"learning_rate", 0.1}}}},
             {-0.3691217f, 0.27870697f, 0.23136133f, -0.030427637f, -0.52833295f,
              -0.59679902f, -0.46768606f, -0.29209551f}},
        Case{"Momentum", {{"SGD", {{"learning_rate", 0.1}, {"momentum", 0.9}}}},
             {0.75992763f, -0.55349243f, 0.032131687f, -0.10191151f, -0.94430315f,
              -0.61752039f, 0.25478223f, -0.46130356f}},
        Case{"Nesterov",
             {{"SGD", {{"learning_rate", 0.1}, {"momentum", 0.9}, {"nesterov", true}}}},
             {0.79711676f, -0.57854712f, 0.025826832f, -0.10198241f, -0.89085913f,
              -0.62833369f, 0.055619255f, -0.42549542f}},
        Case{"Adagrad", {{"Adagrad", {{"learning_rate", 0.1}}}},
             {-0.36372757f, 0.19437975f, 0.17882431f, -0.065771349f, -0.647569f, -0.6075117f,
              -0.58648497f, -0.34357905f}},
        Case{"AdagradOfALargeEpsilon",
             {{"Adagrad", {{"learning_rate", 0.1}, {"initial_accumulator_value", 0.01},
                           {"epsilon", 0.25}}}},
             {-0.4002111f, 0.242204f, 0.20471767f, -0.049602795f, -0.60031009f, -0.60115206f,
              -0.60077381f, -0.32675421f}},
        Case{"RmsProp", {{"RMSprop", {{"learning_rate", 0.01}}}},
             {-0.62999237f, 0.43093237f, 0.15620725f, -0.13433462f, -0.46235016f, -0.5456931f,
              -0.83376211f, -0.30306414f}},
        Case{"CenteredRmsProp",
             {{"RMSprop", {{"learning_rate", 0.01}, {"momentum", 0.5}, {"centered", true}}}},
             {-0.41113418f, 0.21762852f, 0.083781004f, -0.17371643f, -0.64144963f,
              -0.5409171f, -0.63541543f, -0.33178309f}},
        Case{"Adam", {{"Adam", {{"learning_rate", 0.05}}}},
             {-0.30659822f, 0.10919177f, -0.01523416f, -0.21644014f, -0.76510972f,
              -0.54314518f, -0.51825726f, -0.36835709f}},
        Case{"AdamW", {{"AdamW", {{"learning_rate", 0.05}, {"weight_decay", 0.1}}}},
             {-0.2790364f, 0.091489241f, -0.03426706f, -0.22238792f, -0.73840535f,
              -0.53413939f, -0.48224744f, -0.3622506f}},
        Case{"Clipnorm", {{"SGD", {{"learning_rate", 0.1}, {"clipnorm", 0.5}}}},
             {-0.43717965f, 0.32895011f, 0.2442266f, -0.026219495f, -0.50149804f,
              -0.59574586f, -0.52981454f, -0.27852955f}},
        Case{"GlobalClipnorm", {{"SGD", {{"learning_rate", 0.1}, {"global_clipnorm", 0.5}}}},
             {-0.55139637f, 0.41394982f, 0.26178932f, -0.018126212f, -0.44419864f,
              -0.59615892f, -0.64670688f, -0.25322422f}},
        Case{"Clipvalue", {{"Adam", {{"learning_rate", 0.05}, {"clipvalue", 0.2}}}},
             {-0.3000077f, 0.10000767f, -0.012389782f, -0.2165243f, -0.78369832f,
              -0.54319739f, -0.50000769f, -0.36842784f}},
        Case{"CosineDecay", {{"SGD", {{"learning_rate", Cosine()}}}},
             {-0.59080583f, 0.44326389f, 0.26823699f, -0.015403432f, -0.42456269f,
              -0.59624958f, -0.69066799f, -0.24384639f}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Optimizer, RefusesTwoKindsOfClipping) {
  EXPECT_THROW(Optimizers().Make("Adam", {{"clipnorm", 1}, {"clipvalue", 1}}),
               InvalidArgumentError);
}

TEST(Optimizer, ARateThatFollowsAScheduleCannotBeSet) {
  EXPECT_THROW(Optimizers().Make("SGD", {{"learning_rate", Cosine()}})->set_learning_rate(1),
               FailedPreconditionError);
  const OptimizerPtr plain = Optimizers().Make("SGD", {});
  plain->set_learning_rate(0.5);
  EXPECT_EQ(plain->learning_rate(), 0.5);
}

std::vector<double> At(const char* name, const OptionNode& options,
                       const std::vector<int64_t>& steps) {
  const SchedulePtr schedule = LearningRateSchedules().Make(name, options);
  std::vector<double> out;
  for (const int64_t step : steps) out.push_back(schedule->At(step));
  return out;
}

void ExpectRates(const std::vector<double>& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-7) << i;
}

TEST(Schedules, MatchKeras) {
  ExpectRates(At("PiecewiseConstantDecay",
                 {{"boundaries", std::vector<int>{3, 6}},
                  {"values", std::vector<double>{1, 0.5, 0.1}}},
                 {0, 3, 4, 6, 7}),
              {1, 1, 0.5, 0.5, 0.1});
  ExpectRates(At("CosineDecay",
                 {{"initial_learning_rate", 0.1}, {"decay_steps", 10}, {"alpha", 0.2}},
                 {0, 3, 5, 10, 20}),
              {0.1, 0.083511412, 0.06, 0.02, 0.02});
  ExpectRates(At("CosineDecay",
                 {{"initial_learning_rate", 0.01}, {"decay_steps", 10},
                  {"warmup_target", 0.1}, {"warmup_steps", 4}},
                 {0, 2, 4, 9, 14, 20}),
              {0.01, 0.055, 0.1, 0.05, 0, 0});
  ExpectRates(At("ExponentialDecay",
                 {{"initial_learning_rate", 0.1}, {"decay_steps", 10}, {"decay_rate", 0.5}},
                 {0, 5, 10, 25}),
              {0.1, 0.070710681, 0.05, 0.01767767});
}

TEST(Schedules, WarmUpRisesToTheScheduleBehindIt) {
  ExpectRates(At("WarmUp", {{"warmup_steps", 3}, {"learning_rate", 0.4}}, {0, 1, 2, 3, 100}),
              {0.1, 0.2, 0.3, 0.4, 0.4});
  EXPECT_THROW(At("PiecewiseConstantDecay",
                  {{"boundaries", std::vector<int>{3}}, {"values", std::vector<double>{1}}},
                  {0}),
               InvalidArgumentError);
}

}  // namespace
}  // namespace tributary

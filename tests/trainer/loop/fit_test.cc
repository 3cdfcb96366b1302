// fit, evaluate, predict.

#include "tests/trainer/golden.h"
#include "tests/trainer/loop/toy.h"

namespace tributary {
namespace {

using namespace testing;

// One value a step: the running loss of the batch.
class Recorder final : public Callback {
 public:
  explicit Recorder(int64_t every = 1) : every_(every) { set_name("recorder"); }
  int64_t FirstStep(Trainer&) override { return every_; }
  int64_t OnStep(Trainer& trainer) override {
    steps.push_back(trainer.step());
    losses.push_back(trainer.CurrentLogs().Get("loss"));
    return every_;
  }
  std::vector<int64_t> steps;
  std::vector<double> losses;

 private:
  int64_t every_;
};

TEST(Fit, LearnsTheClusters) {
  Trainer trainer(ToyModel(), ToyOptions());
  const History history = trainer.Fit(ToyData(), {.epochs = 20, .validation = ToyData()});
  ASSERT_EQ(history.epochs.size(), 20u);
  EXPECT_LT(history.logs.back().Get("loss"), history.logs.front().Get("loss") / 2);
  EXPECT_GT(history.logs.back().Get("val_accuracy"), 0.85);
  EXPECT_EQ(trainer.step(), 20 * 7);
  EXPECT_EQ(trainer.optimizer()->iterations(), 140);
}

// Ten mean losses of Keras 3.15 on the same weights and batches.
TEST(Fit, FollowsKerasLosses) {
  const auto model = Sequential::Make(
      {MakeLayer("Dense", {{"units", 6}, {"activation", "relu"}}),
       MakeLayer("Dense", {{"units", 3}})});
  model->BuildModel({{DType::kFloat32, {-1, 4}, DType::kInvalid}});
  for (const VariablePtr& v : model->variables()) v->Assign(W(v->shape()));
  Tensor y = Tensor::Empty(DType::kInt32, {20});
  for (int i = 0; i < 20; ++i) y.mutable_data<int32_t>()[i] = i * 7 % 3;
  Trainer trainer(model, ToyOptions({{"learning_rate", 0.01}}));
  const auto data = data::Dataset::FromTensorSlices({X({20, 4}), y}).Batch(8);
  const History history = trainer.Fit(data, {.epochs = 10});
  const std::vector<double> expected = {1.212484, 1.183109, 1.162134, 1.142228, 1.125348, 1.109791, 1.096341, 1.086111, 1.078444, 1.072839};
  const std::vector<double> accuracy = {0.35, 0.35, 0.35, 0.35, 0.35, 0.35, 0.35, 0.35, 0.35, 0.35};
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(history.logs[i].Get("loss"), expected[i], 2e-5) << i;
    EXPECT_NEAR(history.logs[i].Get("accuracy"), accuracy[i], 1e-6) << i;
  }
}

TEST(Fit, GoldenLossesOfASeed) {
  Trainer trainer(ToyModel(), ToyOptions());
  auto recorder = std::make_shared<Recorder>();
  trainer.Fit(ToyData(), {.epochs = 2, .max_steps = 10, .callbacks = {recorder}});
  const std::vector<double> expected = {1.17804, 1.08638, 1.06861, 1.04926, 1.00038,
                                        0.995159, 0.99687, 0.776133, 0.794715, 0.754177};
  ASSERT_EQ(recorder->losses.size(), expected.size())
      << ::testing::PrintToString(recorder->losses);
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(recorder->losses[i], expected[i], 1e-5) << i;
  }
}

TEST(Fit, SameSeedSameBits) {
  const auto run = [] {
    Trainer trainer(ToyModel(), ToyOptions());
    trainer.Fit(ToyData(), {.epochs = 2});
    return Weights(*trainer.model());
  };
  EXPECT_EQ(run(), run());
}

TEST(Fit, WeighsAShortLastBatchByItsRows) {
  // One row in the last batch: the epoch's mean is over rows, not over batches.
  const auto model = Sequential::Make({MakeLayer("Dense", {{"units", 1}})});
  Trainer trainer(model, {.loss = Losses().Make("mse", {}),
                          .optimizer = Optimizers().Make("SGD", {{"learning_rate", 0}})});
  const Tensor x = X({5, 2}), y = W({5, 1});
  const auto data = data::Dataset::FromTensorSlices({x, y}).Batch(4);
  const History history = trainer.Fit(data, {});
  double mean = 0;
  const Tensor p = (*model)(x);
  for (int i = 0; i < 5; ++i) {
    const double error = p.data<float>()[i] - y.data<float>()[i];
    mean += error * error / 5;
  }
  EXPECT_NEAR(history.logs[0].Get("loss"), mean, 1e-6);
  EXPECT_NEAR(trainer.Evaluate(data).Get("loss"), mean, 1e-6);
}

TEST(Fit, CallsBatchEventsOnlyAtTheStepsAskedFor) {
  Trainer trainer(ToyModel(), ToyOptions());
  auto recorder = std::make_shared<Recorder>(3);
  trainer.Fit(ToyData(), {.epochs = 2, .callbacks = {recorder}});
  EXPECT_EQ(recorder->steps, (std::vector<int64_t>{3, 6, 10, 13}));
}

TEST(Fit, StepsPerEpochRunsOverPasses) {
  Trainer trainer(ToyModel(), ToyOptions());
  trainer.Fit(ToyData(), {.epochs = 2, .steps_per_epoch = 10});
  EXPECT_EQ(trainer.step(), 20);
}

TEST(Fit, MaxStepsStopsInsideAnEpoch) {
  Trainer trainer(ToyModel(), ToyOptions());
  const History history = trainer.Fit(ToyData(), {.epochs = 5, .max_steps = 9});
  EXPECT_EQ(trainer.step(), 9);
  EXPECT_EQ(history.epochs.size(), 1u);
  EXPECT_TRUE(history.stopped_early);
}

class Stopper final : public Callback {
 public:
  int64_t FirstStep(Trainer&) override { return 5; }
  int64_t OnStep(Trainer& trainer) override {
    trainer.RequestStop();
    return kNever;
  }
};

TEST(Fit, RequestStopLeavesAfterAStep) {
  Trainer trainer(ToyModel(), ToyOptions());
  trainer.Fit(ToyData(), {.epochs = 5, .callbacks = {std::make_shared<Stopper>()}});
  EXPECT_EQ(trainer.step(), 6);
}

TEST(Fit, AccumulatedBatchesMakeTheUpdateOfOneLargeBatch) {
  const auto run = [](int64_t batch, int accumulate) {
    TrainerOptions options = ToyOptions();
    options.accumulate_steps = accumulate;
    Trainer trainer(ToyModel(0), options);
    const auto data = data::Dataset::FromTensorSlices(Clusters(64)).Batch(batch);
    trainer.Fit(data, {.epochs = 3});
    EXPECT_EQ(trainer.optimizer()->iterations(), 64 / batch / accumulate * 3);
    return Weights(*trainer.model());
  };
  const std::vector<float> large = run(32, 1), small = run(8, 4);
  for (size_t i = 0; i < large.size(); ++i) EXPECT_NEAR(small[i], large[i], 1e-5) << i;
}

TEST(Fit, AGroupOfAccumulatedBatchesEndsWithItsEpoch) {
  TrainerOptions options = ToyOptions();
  options.accumulate_steps = 3;
  Trainer trainer(ToyModel(), options);
  trainer.Fit(ToyData(), {.epochs = 2});  // 7 batches: 3 + 3 + 1
  EXPECT_EQ(trainer.optimizer()->iterations(), 6);
}

TEST(Fit, PenaltiesAreInLossAndGradient) {
  const auto model = Sequential::Make({MakeLayer(
      "Dense", {{"units", 1}, {"use_bias", false},
                {"kernel_regularizer", OptionNode{{"L2", {{"l2", 0.5}}}}}})});
  model->BuildModel({{DType::kFloat32, {-1, 2}, DType::kInvalid}});
  model->variables()[0]->Assign(Tensor::FromVector<float>({1, -2}, {2, 1}));
  Trainer trainer(model, {.loss = Losses().Make("mse", {}),
                          .optimizer = Optimizers().Make("SGD", {{"learning_rate", 0.1}})});
  const auto zeros = data::Dataset::FromTensorSlices(
                         {Tensor::Zeros(DType::kFloat32, {4, 2}),
                          Tensor::Zeros(DType::kFloat32, {4, 1})})
                         .Batch(4);
  const History history = trainer.Fit(zeros, {});
  EXPECT_NEAR(history.logs[0].Get("loss"), 2.5, 1e-6);
  ExpectNear(model->variables()[0]->storage(), {0.9f, -1.8f});  // gradient = weight
}

TEST(Fit, RefusesDataThatIsNotBatchedOrHasNoTarget) {
  Trainer trainer(ToyModel(), ToyOptions());
  EXPECT_THROW(trainer.Fit(data::Dataset::FromTensorSlices(Clusters(10)), {}),
               InvalidArgumentError);
  EXPECT_THROW(trainer.Fit(data::Dataset::FromTensorSlices({X({4, 8})}).Batch(2), {}),
               InvalidArgumentError);
}

TEST(Evaluate, DoesNotDisturbTheRunningEpoch) {
  Trainer trainer(ToyModel(), ToyOptions());
  trainer.Fit(ToyData(), {.epochs = 1});
  const Logs before = trainer.CurrentLogs();
  const std::vector<float> weights = Weights(*trainer.model());
  const Logs first = trainer.Evaluate(ToyData(50));
  EXPECT_EQ(trainer.Evaluate(ToyData(50)).Get("loss"), first.Get("loss"));
  EXPECT_EQ(trainer.CurrentLogs().Get("loss"), before.Get("loss"));
  EXPECT_EQ(Weights(*trainer.model()), weights);
}

TEST(Predict, GivesEveryRowInOrder) {
  Trainer trainer(ToyModel(), ToyOptions());
  const std::vector<Tensor> rows = Clusters(21);
  const auto data = data::Dataset::FromTensorSlices({rows[0]}).Batch(4);
  const std::vector<Tensor> outputs = trainer.Predict(data);
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_EQ(outputs[0].shape(), (Shape{21, 3}));
  const Tensor direct = (*trainer.model())(rows[0]);
  ExpectNear(outputs[0], direct.ToVector<float>(), 1e-6);
  // A target is ignored.
  Trainer other(ToyModel(), ToyOptions());
  const auto with_target = data::Dataset::FromTensorSlices(rows).Batch(4);
  EXPECT_EQ(other.Predict(with_target)[0].ToVector<float>(), outputs[0].ToVector<float>());
}

}  // namespace
}  // namespace tributary

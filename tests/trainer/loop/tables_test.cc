// Embedding tables whose gradients stay sparse train, to the bit, as dense ones do.

#include "tests/trainer/allocations.h"
#include "tests/trainer/loop/toy.h"

namespace tributary {
namespace {

using testing::HeapAllocations;
using testing::Weights;

constexpr int64_t kRows = 700, kWidth = 32;  // 87.5 KiB

// Four ids an example, with repetitions; the target depends on them.
data::Dataset Ids() {
  Tensor ids = Tensor::Empty(DType::kInt64, {96, 4});
  Tensor target = Tensor::Empty(DType::kFloat32, {96, 1});
  for (int64_t i = 0; i < ids.NumElements(); ++i) {
    ids.mutable_data<int64_t>()[i] = PhiloxAt(5, 0, i)[0] % 40 * 17;
  }
  for (int64_t r = 0; r < 96; ++r) {
    target.mutable_data<float>()[r] = ids.data<int64_t>()[r * 4] % 2 ? 1.0f : -1.0f;
  }
  return data::Dataset::FromTensorSlices({ids, target}).Shuffle(96, 3).Batch(16);
}

ModelPtr TableModel(const OptionNode& regularizer = {}) {
  SetRandomSeed(3);
  OptionNode::Map table = {{"input_dim", kRows}, {"output_dim", kWidth}};
  if (!regularizer.IsNull()) table.push_back({"embeddings_regularizer", regularizer});
  return Sequential::Make({MakeLayer("Embedding", table), MakeLayer("Flatten"),
                           MakeLayer("Dense", {{"units", 1}})});
}

std::vector<float> Train(const char* optimizer, OptionNode::Map options, int64_t epochs = 3,
                         const OptionNode& regularizer = {}) {
  const ModelPtr model = TableModel(regularizer);
  Trainer trainer(model, {.loss = Losses().Make("mse", {}),
                          .optimizer = Optimizers().Make(optimizer, options)});
  trainer.Fit(Ids(), {.epochs = epochs});
  std::vector<float> all = Weights(*model);
  const std::vector<float> slots = Weights(*trainer.optimizer());
  all.insert(all.end(), slots.begin(), slots.end());
  return all;
}

struct Case {
  const char* name;
  const char* optimizer;
  OptionNode::Map options;
};

class Tables : public ::testing::TestWithParam<Case> {};

// A bound that nothing reaches keeps all in flat buckets: the dense way.
OptionNode::Map Dense(OptionNode::Map options) {
  options.push_back({"clipvalue", 1e30});
  return options;
}

TEST_P(Tables, TrainAsDenseVariablesDoToTheBit) {
  EXPECT_EQ(Train(GetParam().optimizer, GetParam().options),
            Train(GetParam().optimizer, Dense(GetParam().options)));
}

INSTANTIATE_TEST_SUITE_P(
    All, Tables,
    ::testing::Values(Case{"Sgd", "SGD", {{"learning_rate", 0.1}}},
                      Case{"Momentum", "SGD", {{"learning_rate", 0.1}, {"momentum", 0.9}}},
                      Case{"Nesterov", "SGD",
                           {{"learning_rate", 0.1}, {"momentum", 0.9}, {"nesterov", true}}},
                      Case{"Adagrad", "Adagrad", {{"learning_rate", 0.1}}},
                      Case{"RmsProp", "RMSprop", {{"momentum", 0.5}}},
                      Case{"CenteredRmsProp", "RMSprop", {{"centered", true}}},
                      Case{"Adam", "Adam", {{"learning_rate", 0.01}}},
                      Case{"AdamW", "AdamW", {{"weight_decay", 0.1}}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Tables, APenaltyOnTheirWeightsMakesTheGradientDense) {
  const OptionNode l2 = {{"L2", {{"l2", 0.01}}}};
  EXPECT_EQ(Train("Adam", {}, 2, l2), Train("Adam", Dense({}), 2, l2));
}

// Row 1 of a table after a step on it and steps on others.
std::vector<float> RowOne(bool lazy, int64_t epochs) {
  const ModelPtr model = TableModel();
  Trainer trainer(model, {.loss = Losses().Make("mse", {}),
                          .optimizer = Optimizers().Make("Adam", {{"lazy", lazy}})});
  const Tensor ids = Tensor::FromVector<int64_t>({1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}, {3, 4});
  const Tensor target = Tensor::FromVector<float>({1, 1, 1}, {3, 1});
  const auto data = data::Dataset::FromTensorSlices({ids, target}).Batch(1);
  trainer.Fit(data, {.epochs = 1, .max_steps = epochs});
  const float* row = model->variables()[0]->storage().data<float>() + kWidth;
  return {row, row + kWidth};
}

TEST(Tables, LazyRowsMoveOnlyWhenABatchTouchesThem) {
  EXPECT_EQ(RowOne(true, 1), RowOne(true, 3));
  EXPECT_NE(RowOne(false, 1), RowOne(false, 3));
  EXPECT_EQ(RowOne(true, 1), RowOne(false, 1));
}

class Meter final : public Callback {
 public:
  int64_t FirstStep(Trainer&) override { return 20; }
  int64_t OnStep(Trainer&) override {
    if (before_ == 0) {
      before_ = HeapAllocations();
      return 100;
    }
    allocations = HeapAllocations() - before_;
    return kNever;
  }
  int64_t allocations = -1;

 private:
  int64_t before_ = 0;
};

TEST(Tables, AStepAllocatesNothing) {
  for (const bool lazy : {false, true}) {
    Trainer trainer(TableModel(), {.loss = Losses().Make("mse", {}),
                                   .optimizer = Optimizers().Make("Adam", {{"lazy", lazy}})});
    auto meter = std::make_shared<Meter>();
    trainer.Fit(Ids().Repeat(), {.epochs = 1, .steps_per_epoch = 130, .callbacks = {meter}});
    EXPECT_EQ(meter->allocations, 0);
  }
}

}  // namespace
}  // namespace tributary

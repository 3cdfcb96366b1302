// The port: what a strategy may rely on, whatever slices it updates in.

#include "tests/trainer/golden.h"
#include "tests/trainer/strategy/sliced_strategy.h"
#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

using testing::W;
using testing::X;

std::vector<float> Train(std::shared_ptr<Strategy> strategy, const OptionNode& options,
                         size_t max_bucket_bytes = size_t{1} << 20) {
  const auto model = Sequential::Make(
      {MakeLayer("Dense", {{"units", 5}, {"activation", "tanh"}}),
       MakeLayer("Dense", {{"units", 2}})});
  Trainer trainer(model, {.loss = Losses().Make("mse", {}),
                          .optimizer = Optimizers().Make("Adam", options),
                          .strategy = std::move(strategy),
                          .max_bucket_bytes = max_bucket_bytes});
  const auto data = data::Dataset::FromTensorSlices({W({12, 3}), X({12, 2})}).Batch(4);
  trainer.Fit(data, {.epochs = 3});
  std::vector<float> out;
  for (const VariablePtr& v : model->variables()) {
    for (const float x : v->storage().values<float>()) out.push_back(x);
  }
  return out;
}

TEST(UpdateStep, SlicesGiveTheSameBitsAsTheWhole) {
  const std::vector<float> whole = Train(nullptr, {});
  for (const int slices : {2, 3, 7}) {
    EXPECT_EQ(Train(std::make_shared<testing::SlicedStrategy>(slices), {}), whole) << slices;
  }
}

TEST(UpdateStep, NormsOfSlicesAddUp) {
  for (const char* clip : {"clipnorm", "global_clipnorm"}) {
    const std::vector<float> whole = Train(nullptr, {{clip, 0.05}});
    const std::vector<float> sliced =
        Train(std::make_shared<testing::SlicedStrategy>(3), {{clip, 0.05}});
    for (size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(sliced[i], whole[i], 1e-6) << clip;
  }
}

TEST(UpdateStep, SeveralBucketsGiveTheSameBitsAsOne) {
  EXPECT_EQ(Train(nullptr, {}, 64), Train(nullptr, {}));
}

// One of `count` replicas, the others of which contribute nothing.
class LoneReplica final : public Strategy {
 public:
  LoneReplica(int index, int count) : shard_{index, count} {}
  std::string Describe() const override { return "lone replica"; }
  InputShard input_shard() const override { return shard_; }
  bool is_chief() const override { return shard_.index == 0; }
  std::shared_ptr<Buffer> AllocateBucket(BucketKind kind, const std::string& name,
                                         size_t bytes) override {
    return memory_.AllocateBucket(kind, name, bytes);
  }
  void BuildUpdate(UpdateStep& step) override { memory_.BuildUpdate(step); }
  void SyncInitialState(const std::vector<Tensor>&) override {}
  void SumAcrossReplicas(std::span<double>) override {}
  uint32_t EndStep(uint32_t requests) override { return requests; }

 private:
  InputShard shard_;
  OneDeviceStrategy memory_;
};

// The gradient (of one SGD step at rate 1) that one replica contributes.
std::vector<float> Contribution(std::shared_ptr<Strategy> strategy, int64_t rows,
                                const OptionNode::Map& more = {}) {
  OptionNode::Map options = more;
  options.insert(options.end(), {{"units", 2}, {"kernel_initializer", "ones"}});
  const auto model = Sequential::Make({MakeLayer("Dense", options)});
  Trainer trainer(model, {.loss = Losses().Make("mse", {}),
                          .optimizer = Optimizers().Make("SGD", {{"learning_rate", 1}}),
                          .strategy = std::move(strategy)});
  trainer.Fit(data::Dataset::FromTensorSlices({W({rows, 3}), X({rows, 2})}).Batch(rows), {});
  std::vector<float> gradient;
  for (const float w : model->variables()[0]->storage().values<float>()) {
    gradient.push_back(1 - w);
  }
  return gradient;
}

TEST(Replicas, ContributionsOfUnequalPartsAddUpToTheGlobalMean) {
  const std::vector<float> whole = Contribution(nullptr, 7);
  std::vector<double> sum(whole.size(), 0);
  for (int index = 0; index < 3; ++index) {  // 2, 2 and 3 rows
    const std::vector<float> part = Contribution(std::make_shared<LoneReplica>(index, 3), 7);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
  }
  for (size_t i = 0; i < sum.size(); ++i) EXPECT_NEAR(sum[i], whole[i], 1e-6);
}

TEST(Replicas, APartWithoutRowsContributesNothingButItsShareOfPenalties) {
  const auto lone = [] { return std::make_shared<LoneReplica>(0, 2); };
  for (const float g : Contribution(lone(), 1)) EXPECT_EQ(g, 0);
  const OptionNode::Map penalty = {
      {"kernel_regularizer", OptionNode{{"L2", {{"l2", 0.25}}}}}};
  for (const float g : Contribution(lone(), 1, penalty)) EXPECT_FLOAT_EQ(g, 0.25);
}

TEST(OneDevice, GivesTheSameMemoryForOneNameAndKind) {
  OneDeviceStrategy strategy;
  const auto a = strategy.AllocateBucket(BucketKind::kGradients, "g", 100);
  EXPECT_EQ(strategy.AllocateBucket(BucketKind::kGradients, "g", 100), a);
  EXPECT_NE(strategy.AllocateBucket(BucketKind::kSlots, "g", 100), a);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a->data()) % 64, 0u);
  EXPECT_THROW(strategy.AllocateBucket(BucketKind::kGradients, "g", 200),
               InvalidArgumentError);
}

TEST(Strategies, AreBuiltByName) {
  EXPECT_TRUE(Strategies().Make("one_device", {})->is_chief());
}

}  // namespace
}  // namespace tributary

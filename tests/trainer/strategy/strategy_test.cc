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

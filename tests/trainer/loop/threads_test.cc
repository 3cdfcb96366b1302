// What a training computes does not depend on the number of threads.

#include "core/base/parallel.h"
#include "tests/trainer/loop/toy.h"

namespace tributary {
namespace {

using namespace testing;

std::vector<Tensor> Images(int64_t rows) {
  Tensor x = Tensor::Empty(DType::kFloat32, {rows, 16, 16, 1});
  Tensor y = Tensor::Empty(DType::kInt32, Shape{rows});
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    x.mutable_data<float>()[i] = UniformFloat(PhiloxAt(1, 0, i)[0]);
  }
  for (int64_t r = 0; r < rows; ++r) y.mutable_data<int32_t>()[r] = static_cast<int32_t>(r % 3);
  return {x, y};
}

// Every way to cut a loop: convolutions, pooling, both norms, dropout, our own matrix products
// and (64 x 392 x 512) oneDNN's.
std::vector<float> TrainedWith(int threads) {
  SetNumThreads(threads);
  SetRandomSeed(3);
  const ModelPtr model = Sequential::Make(
      {MakeLayer("Conv2D", {{"filters", 8}, {"kernel_size", 3}, {"activation", "relu"}}),
       MakeLayer("MaxPooling2D", {{"pool_size", 2}}), MakeLayer("BatchNormalization", {}),
       MakeLayer("Flatten", {}), MakeLayer("Dropout", {{"rate", 0.3}}),
       MakeLayer("Dense", {{"units", 512}, {"activation", "relu"}}),
       MakeLayer("LayerNormalization", {}), MakeLayer("Dense", {{"units", 3}})});
  Trainer trainer(model, ToyOptions());
  trainer.Fit(data::Dataset::FromTensorSlices(Images(300)).Shuffle(300, 7).Batch(64),
              {.epochs = 2});
  return Weights(*model);
}

TEST(Threads, DoNotChangeTheWeights) {
  const int before = NumThreads();
  const std::vector<float> one = TrainedWith(1);
  EXPECT_GT(one.size(), 200'000u);
  for (const int threads : {2, 3, 7}) EXPECT_EQ(TrainedWith(threads), one) << threads;
  SetNumThreads(before);
}

}  // namespace
}  // namespace tributary

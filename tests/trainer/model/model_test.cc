// Composition, names, seeds, initialisers.

#include "tests/trainer/golden.h"
#include "trainer/model/model.h"
#include "trainer/model/random_seed.h"

namespace tributary {
namespace {

LayerPtr Dense(int units, OptionNode::Map more = {}) {
  more.push_back({"units", units});
  return MakeLayer("Dense", more);
}

std::vector<std::string> Names(const Model& model) {
  std::vector<std::string> names;
  for (const LayerPtr& layer : model.layers()) names.push_back(layer->name());
  return names;
}

TEST(Sequential, NamesLayersAsKerasDoes) {
  const auto model = Sequential::Make({Dense(3), MakeLayer("MaxPooling2D"), Dense(3),
                                       Dense(3, {{"name", "out"}}), MakeLayer("Conv2D",
                                           {{"filters", 1}, {"kernel_size", 1}})});
  EXPECT_EQ(Names(*model), (std::vector<std::string>{"dense", "max_pooling2d", "dense_1",
                                                     "out", "conv2d"}));
}

TEST(Sequential, RefusesTwoLayersOfOneName) {
  EXPECT_THROW(Sequential::Make({Dense(1, {{"name", "a"}}), Dense(1, {{"name", "a"}})}),
               InvalidArgumentError);
}

TEST(Sequential, BuildsOnFirstUseAndKeepsOneSetOfWeights) {
  const auto model = Sequential::Make({MakeLayer("Flatten"), Dense(4), Dense(2)});
  EXPECT_TRUE(model->variables().empty());
  const Tensor x = testing::X({2, 3, 2});
  const Tensor y = (*model)(x);
  EXPECT_EQ(y.shape(), (Shape{2, 2}));
  ASSERT_EQ(model->variables().size(), 4u);
  EXPECT_EQ(model->variables()[0]->name(), "dense/kernel");
  EXPECT_EQ(model->variables()[3]->name(), "dense_1/bias");
  EXPECT_EQ((*model)(x).ToVector<float>(), y.ToVector<float>());
  EXPECT_THROW(model->Add(Dense(1)), FailedPreconditionError);
}

TEST(Sequential, SaysWhatItNeedsWhenItDoesNotKnowItsInput) {
  EXPECT_THROW(Sequential::Make({Dense(1)})->BuildModel({}), FailedPreconditionError);
}

TEST(Functional, ComputesBranchesAndSharedLayers) {
  const KerasTensor input = Input({3});
  const LayerPtr shared = Dense(3);
  const KerasTensor once = (*shared)(input);
  const KerasTensor twice = (*shared)(once);
  const KerasTensor sum = (*MakeLayer("Add"))({once, twice});
  const ModelPtr model = Model::Make({input}, {sum, once});
  const Tensor x = testing::X({2, 3});
  CallContext context;
  const std::vector<Tensor> out = model->CallAll({x}, context);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(model->variables().size(), 2u);
  const Tensor h = (*shared)(x), hh = (*shared)(h);
  for (int i = 0; i < 6; ++i) {
    EXPECT_FLOAT_EQ(out[0].data<float>()[i], h.data<float>()[i] + hh.data<float>()[i]);
    EXPECT_FLOAT_EQ(out[1].data<float>()[i], h.data<float>()[i]);
  }
}

TEST(Functional, OrdersLayersAsKerasDoes) {
  const KerasTensor a = Input({4}, DType::kFloat32, "a");
  const KerasTensor b = Input({4}, DType::kFloat32, "b");
  const KerasTensor left = (*Dense(2))((*Dense(2))(a));
  const KerasTensor right = (*Dense(2))(b);
  const ModelPtr model = Model::Make({a, b}, {(*MakeLayer("Concatenate"))({left, right})});
  EXPECT_EQ(Names(*model), (std::vector<std::string>{"a", "dense", "b", "dense_1", "dense_2",
                                                     "concatenate"}));
  EXPECT_EQ(model->output_specs()[0].shape, (Shape{-1, 4}));
}

TEST(Functional, RefusesOutputsThatHangInTheAir) {
  const KerasTensor a = Input({4}), b = Input({4});
  const KerasTensor y = (*MakeLayer("Add"))({a, b});
  EXPECT_THROW(Model::Make({a}, {y}), InvalidArgumentError);
  EXPECT_THROW(Model::Make({a, b}, {(*Dense(1))(a)}), InvalidArgumentError);
}

TEST(Model, NestsAsALayer) {
  const auto inner = Sequential::Make({Dense(3), Dense(3)}, "block");
  const auto outer = Sequential::Make({inner, Dense(1)});
  outer->BuildModel({{DType::kFloat32, {-1, 5}, DType::kInvalid}});
  ASSERT_EQ(outer->variables().size(), 6u);
  EXPECT_EQ(outer->variables()[0]->name(), "block/dense/kernel");
  EXPECT_EQ(outer->variables()[4]->name(), "dense/kernel");
  inner->set_trainable(false);
  EXPECT_EQ(outer->trainable_variables().size(), 2u);
  EXPECT_EQ(outer->get_layer("block"), inner);
  EXPECT_THROW(outer->get_layer("blok"), NotFoundError);
}

TEST(Seeds, InitialWeightsFollowFromSeedAndPathAlone) {
  const auto weights = [](uint64_t seed, bool first_of_process) {
    SetRandomSeed(seed);
    const auto model = Sequential::Make({Dense(7), Dense(5)});
    if (!first_of_process) Dense(3)->BuildOnce({{1, 2}}, "other");
    model->BuildModel({{DType::kFloat32, {-1, 11}, DType::kInvalid}});
    return model->variables()[2]->storage().ToVector<float>();
  };
  const std::vector<float> one = weights(1, true);
  EXPECT_EQ(weights(1, false), one);
  EXPECT_NE(weights(2, true), one);
  SetRandomSeed(0);
}

struct Moments {
  double mean = 0, deviation = 0, largest = 0;
};
Moments Of(const char* name, const OptionNode& options, const Shape& shape) {
  const Tensor t = Initializers().Make(name, options)->Make(shape, DType::kFloat32, 42);
  Moments m;
  double squares = 0;
  for (const float v : t.values<float>()) {
    m.mean += v;
    squares += double{v} * v;
    m.largest = std::max<double>(m.largest, std::abs(v));
  }
  m.mean /= t.NumElements();
  m.deviation = std::sqrt(squares / t.NumElements() - m.mean * m.mean);
  return m;
}

TEST(Initializers, HaveKerasDistributions) {
  const Shape shape{400, 200};
  const double limit = std::sqrt(6.0 / 600);
  const Moments glorot = Of("GlorotUniform", {}, shape);
  EXPECT_LE(glorot.largest, limit);
  EXPECT_GT(glorot.largest, 0.99 * limit);
  EXPECT_NEAR(glorot.mean, 0, 1e-3);
  EXPECT_NEAR(glorot.deviation, limit / std::sqrt(3), 1e-3);
  EXPECT_NEAR(Of("GlorotNormal", {}, shape).deviation, std::sqrt(2.0 / 600), 5e-4);
  EXPECT_NEAR(Of("HeNormal", {}, shape).deviation, std::sqrt(2.0 / 400), 5e-4);
  EXPECT_LE(Of("HeUniform", {}, shape).largest, std::sqrt(6.0 / 400));
  const Moments normal = Of("RandomNormal", {{"mean", 1.0}, {"stddev", 0.5}}, shape);
  EXPECT_NEAR(normal.mean, 1, 1e-2);
  EXPECT_NEAR(normal.deviation, 0.5, 5e-3);
  EXPECT_GT(normal.largest, 2.5);
  const Moments truncated = Of("TruncatedNormal", {{"stddev", 1.0}}, shape);
  EXPECT_LT(truncated.largest, 2);
  EXPECT_NEAR(truncated.deviation, 0.88, 1e-2);
  // Convolution kernels count the window.
  EXPECT_LE(Of("GlorotUniform", {}, {3, 3, 16, 32}).largest, std::sqrt(6.0 / (9 * 48)));
  EXPECT_EQ(Of("Constant", {{"value", 3}}, {5}).mean, 3);
}

}  // namespace
}  // namespace tributary

// Every layer against Keras 3.15's values on the same inputs and weights.

#include "tests/trainer/golden.h"
#include "trainer/model/model.h"

namespace tributary {
namespace {

using testing::ExpectNear;
using testing::W;
using testing::X;

// Builds the layer and sets its weights to W (variances: |W| + 0.5).
LayerPtr Ready(const std::string& name, const OptionNode& options, const Shape& input) {
  LayerPtr layer = MakeLayer(name, options);
  layer->BuildOnce({input}, layer->name());
  for (const VariablePtr& variable : layer->variables()) {
    Tensor value = W(variable->shape());
    if (variable->name().find("variance") != std::string::npos) {
      float* data = value.mutable_data<float>();
      for (int64_t i = 0; i < value.NumElements(); ++i) data[i] = std::abs(data[i]) + 0.5f;
    }
    variable->Assign(value);
  }
  return layer;
}

TEST(Dense, MatchesKeras) {
  const LayerPtr dense = Ready("Dense", {{"units", 3}, {"activation", "tanh"}}, {2, 4});
  ExpectNear((*dense)(X({2, 4})), {0.51388896f, 0.53562492f, 0.55667359f, -0.82555026f,
                                   0.60309678f, 0.40364861f});
}

TEST(Dense, WorksAlongTheLastAxisOfAnyRank) {
  const LayerPtr dense = Ready("Dense", {{"units", 3}}, {2, 2, 4});
  const Tensor y = (*dense)(X({2, 2, 4}));
  EXPECT_EQ(y.shape(), (Shape{2, 2, 3}));
  ExpectNear(y, {0.56800002f, 0.59800005f, 0.62800002f, -1.174f, 0.69799995f, 0.42800009f,
                 -1.098f, -0.21200007f, -0.17599994f, -1.022f, 1.7059999f, 1.4419999f});
}

TEST(Conv2D, MatchesKerasWithPaddingAndStrides) {
  const LayerPtr conv = Ready("Conv2D",
                              {{"filters", 2},
                               {"kernel_size", std::vector<int>{3, 2}},
                               {"strides", std::vector<int>{2, 1}},
                               {"padding", "same"},
                               {"activation", "relu"}},
                              {1, 4, 3, 2});
  const Tensor y = (*conv)(X({1, 4, 3, 2}));
  EXPECT_EQ(y.shape(), (Shape{1, 2, 3, 2}));
  EXPECT_EQ(conv->ComputeOutputShape({{1, 4, 3, 2}}), y.shape());
  ExpectNear(y, {0, 0, 0, 0, 0, 1.132f, 0, 0, 0, 1.6880002f, 0, 0.73599994f});
}

TEST(Conv2D, MatchesKerasWithDilation) {
  const LayerPtr conv =
      Ready("Conv2D", {{"filters", 2}, {"kernel_size", 2}, {"dilation_rate", 2}}, {1, 4, 4, 1});
  const Tensor y = (*conv)(X({1, 4, 4, 1}));
  EXPECT_EQ(conv->ComputeOutputShape({{1, 4, 4, 1}}), y.shape());
  ExpectNear(y, {-0.36199993f, -0.14000005f, -0.96799999f, 0.27000001f, -0.96799999f,
                 0.48999998f, -0.36200005f, -0.11000001f});
}

TEST(Conv2D, RefusesAKernelLargerThanTheImage) {
  const LayerPtr conv = MakeLayer("Conv2D", {{"filters", 2}, {"kernel_size", 5}});
  EXPECT_THROW(conv->ComputeOutputShape({{-1, 4, 4, 1}}), InvalidArgumentError);
}

TEST(DepthwiseConv2D, MatchesKerasWithAMultiplierPaddingAndStrides) {
  const LayerPtr conv = Ready("DepthwiseConv2D",
                              {{"kernel_size", 3},
                               {"strides", 2},
                               {"padding", "same"},
                               {"depth_multiplier", 2},
                               {"activation", "relu"}},
                              {1, 4, 3, 2});
  const Tensor y = (*conv)(X({1, 4, 3, 2}));
  EXPECT_EQ(y.shape(), (Shape{1, 2, 2, 4}));
  EXPECT_EQ(conv->ComputeOutputShape({{-1, 4, 3, 2}}), (Shape{-1, 2, 2, 4}));
  ExpectNear(y, {0, 1.724f, 1.0880001f, 0.23199989f, 0, 1.4079999f, 0, 0, 0, 0.63799995f,
                 0.50400001f, 0.53399992f, 0, 0, 0.52399993f, 0.30200002f});
}

TEST(DepthwiseConv2D, MatchesKerasWithDilation) {
  const LayerPtr conv =
      Ready("DepthwiseConv2D", {{"kernel_size", 2}, {"dilation_rate", 2}}, {1, 4, 4, 2});
  ExpectNear((*conv)(X({1, 4, 4, 2})),
             {-0.52999997f, 0.029999971f, -0.53000009f, -0.16000003f, -0.52999997f, 1.492f,
              -0.52999997f, 0.089999974f});
}

TEST(Pooling, MatchesKeras) {
  const LayerPtr max = MakeLayer("MaxPooling2D", {{"strides", 2}, {"padding", "same"}});
  ExpectNear((*max)(X({1, 3, 3, 2})),
             {0.63999999f, 0.69999993f, 0.25999999f, -0.06f, 0.75999999f, -0.44f, 0,
              0.81999993f});
  const LayerPtr avg = MakeLayer("AveragePooling2D", {{"strides", 1}});
  ExpectNear((*avg)(X({1, 3, 3, 1})), {-0.37f, -0.055f, 0.07f, -0.12f});
  const LayerPtr same = MakeLayer("AveragePooling2D", {{"padding", "same"}});
  ExpectNear((*same)(X({1, 3, 3, 1})), {-0.37f, -0.15f, 0.29f, -0.5f});
  const LayerPtr global = MakeLayer("GlobalAveragePooling2D");
  ExpectNear((*global)(X({2, 2, 2, 3})), {-0.34f, -0.025f, -0.215f, -0.095f, 0.22f, 0.03f});
}

TEST(BatchNormalization, UsesMovingStatisticsUnlessTraining) {
  const LayerPtr norm = Ready("BatchNormalization", {{"momentum", 0.9}}, {4, 3});
  ExpectNear((*norm)(X({4, 3})),
             {-0.65972471f, 0.15398218f, 0.41396827f, -0.96833044f, 0.40558195f, -0.11564898f,
              -1.2769362f, 0.65718174f, 0.031839371f, -1.5855418f, -0.24629021f,
              0.17932771f});
}

TEST(BatchNormalization, NormalisesTheBatchAndMovesTheAveragesWhileTraining) {
  const LayerPtr norm = Ready("BatchNormalization", {{"momentum", 0.9}}, {4, 3});
  ExpectNear((*norm)(X({4, 3}), true),
             {0.27110195f, 0.44085115f, 0.7389428f, -0.44296604f, 0.89262855f, -0.072202951f,
              -1.157034f, 1.3444059f, 0.15368575f, -1.8711019f, -0.27788556f, 0.37957445f});
  ExpectNear(norm->variables()[2]->storage(), {-0.75399995f, 0.53749996f, 0.2485f});
  ExpectNear(norm->variables()[3]->storage(), {1.1941999f, 1.0240474f, 0.75404745f});
}

TEST(BatchNormalization, FrozenItKeepsItsAverages) {
  const LayerPtr norm = Ready("BatchNormalization", {{"trainable", false}}, {4, 3});
  const std::vector<float> before = norm->variables()[2]->storage().ToVector<float>();
  (*norm)(X({4, 3}), true);
  EXPECT_EQ(norm->variables()[2]->storage().ToVector<float>(), before);
  EXPECT_TRUE(norm->trainable_variables().empty());
}

TEST(LayerNormalization, MatchesKeras) {
  const LayerPtr norm = Ready("LayerNormalization", {}, {2, 4});
  ExpectNear((*norm)(X({2, 4})), {0.16097772f, 0.69444096f, 0.75480759f, 0, -1.1777637f,
                                  -0.30961519f, 0.25277954f, 0});
}

TEST(Embedding, GathersRows) {
  const LayerPtr embedding = Ready("Embedding", {{"input_dim", 5}, {"output_dim", 2}}, {2, 2});
  const Tensor y = (*embedding)(Tensor::FromVector<int32_t>({0, 4, 2, 2}, {2, 2}));
  EXPECT_EQ(y.shape(), (Shape{2, 2, 2}));
  ExpectNear(y, {-0.8f, 0.6f, 0.2f, -0.1f, -0.3f, -0.6f, -0.3f, -0.6f});
  EXPECT_THROW((*embedding)(X({2, 2})), InvalidArgumentError);
}

struct ActivationCase {
  const char* name;
  std::vector<float> expected;
};
class ActivationTest : public ::testing::TestWithParam<ActivationCase> {};

TEST_P(ActivationTest, MatchesKeras) {
  Tensor x = X({1, 4});
  for (int i = 0; i < 4; ++i) x.mutable_data<float>()[i] *= 3;
  const LayerPtr layer = MakeLayer("Activation", {{"activation", GetParam().name}});
  ExpectNear((*layer)(x), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    All, ActivationTest,
    ::testing::Values(
        ActivationCase{"linear", {-3, -0.54f, 1.92f, -1.68f}},
        ActivationCase{"relu", {0, 0, 1.92f, 0}}, ActivationCase{"relu6", {0, 0, 1.92f, 0}},
        ActivationCase{"sigmoid", {0.047425874f, 0.36818758f, 0.87213844f, 0.15709546f}},
        ActivationCase{"tanh", {-0.99505472f, -0.49298799f, 0.95791721f, -0.93286157f}},
        ActivationCase{"softmax", {0.0065167444f, 0.076277271f, 0.89281106f, 0.024394922f}},
        ActivationCase{"log_softmax", {-5.0333805f, -2.5733805f, -0.11338031f, -3.7133803f}},
        ActivationCase{"softplus", {0.048587352f, 0.45916271f, 2.056807f, 0.17090157f}},
        ActivationCase{"softsign", {-0.75f, -0.35064939f, 0.65753424f, -0.62686568f}},
        ActivationCase{"elu", {-0.95021296f, -0.41725177f, 1.92f, -0.81362605f}},
        ActivationCase{"selu", {-1.6705687f, -0.73357004f, 2.0173459f, -1.4304354f}},
        ActivationCase{"silu", {-0.14227763f, -0.19882131f, 1.6745057f, -0.2639204f}},
        ActivationCase{"exponential", {0.049787067f, 0.58274823f, 6.8209581f, 0.18637396f}},
        ActivationCase{"gelu", {-0.0040496956f, -0.1590832f, 1.8673363f, -0.078084141f}},
        ActivationCase{"leaky_relu", {-0.6f, -0.108f, 1.92f, -0.336f}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Flatten, KeepsTheBatch) {
  const LayerPtr flatten = MakeLayer("Flatten");
  EXPECT_EQ((*flatten)(X({2, 3, 4})).shape(), (Shape{2, 12}));
  EXPECT_EQ(flatten->ComputeOutputShape({{-1, 3, 4}}), (Shape{-1, 12}));
}

TEST(Reshape, FillsInTheOpenDimension) {
  const LayerPtr reshape = MakeLayer("Reshape", {{"target_shape", std::vector<int>{-1, 2}}});
  EXPECT_EQ((*reshape)(X({2, 3, 4})).shape(), (Shape{2, 6, 2}));
  const LayerPtr bad = MakeLayer("Reshape", {{"target_shape", std::vector<int>{5, 5}}});
  EXPECT_THROW((*bad)(X({2, 3, 4})), InvalidArgumentError);
}

TEST(Dropout, ZeroesAboutItsRateAndScalesTheRest) {
  const LayerPtr dropout = MakeLayer("Dropout", {{"rate", 0.25}});
  const Tensor ones = Tensor::Full<float>({100, 100}, 1);
  const Tensor y = (*dropout)(ones, true);
  int zeros = 0;
  for (const float v : y.values<float>()) {
    zeros += v == 0;
    EXPECT_TRUE(v == 0 || std::abs(v - 1 / 0.75f) < 1e-6);
  }
  EXPECT_NEAR(zeros, 2500, 200);
  EXPECT_EQ((*dropout)(ones, false).ToVector<float>(), ones.ToVector<float>());
}

TEST(Dropout, MasksDependOnStepAndRowAlone) {
  const LayerPtr dropout = MakeLayer("Dropout", {{"rate", 0.5}});
  const Tensor ones = Tensor::Full<float>({8, 16}, 1);
  const auto mask = [&](int64_t step, int64_t row, const Tensor& x) {
    CallContext context(true);
    context.set_random_step(Tensor(step));
    context.set_row_offset(row);
    return (*dropout)(std::vector<Tensor>{x}, context).ToVector<float>();
  };
  const std::vector<float> whole = mask(3, 0, ones);
  EXPECT_EQ(mask(3, 0, ones), whole);
  EXPECT_NE(mask(4, 0, ones), whole);
  // The second half of a batch gets the second half of the mask.
  const std::vector<float> half = mask(3, 4, ones.Slice(0, 4));
  EXPECT_EQ(half, std::vector<float>(whole.begin() + 64, whole.end()));
}

TEST(Merge, AddsAndConcatenates) {
  CallContext context;
  const Tensor a = X({2, 3}), b = W({2, 3});
  const Tensor sum = (*MakeLayer("Add"))({a, b}, context);
  EXPECT_FLOAT_EQ(sum.data<float>()[4], a.data<float>()[4] + b.data<float>()[4]);
  const LayerPtr concat = MakeLayer("Concatenate");
  EXPECT_EQ((*concat)({a, b}, context).shape(), (Shape{2, 6}));
  EXPECT_EQ(concat->ComputeOutputShape({{-1, 3}, {-1, 5}}), (Shape{-1, 8}));
  EXPECT_THROW((*concat)({a}, context), InvalidArgumentError);
}

TEST(Layer, RefusesUnknownOptionsWithAHint) {
  try {
    MakeLayer("Dense", {{"unitz", 3}});
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("units"), std::string::npos) << e.what();
  }
  EXPECT_THROW(MakeLayer("Dens", {}), NotFoundError);
}

TEST(Layer, GivesItsConfigBack) {
  const LayerPtr dense = MakeLayer("Dense", {{"units", 3}, {"name", "out"}});
  const LayerPtr again = Layers().Build(dense->get_config());
  EXPECT_EQ(again->name(), "out");
  EXPECT_EQ(again->get_config().ToJson(), dense->get_config().ToJson());
}

TEST(Layer, PenaltiesOnWeightsAreLosses) {
  const LayerPtr dense = Ready(
      "Dense", {{"units", 2}, {"kernel_regularizer", OptionNode{{"L2", {{"l2", 0.5}}}}}},
      {1, 2});
  const std::vector<Tensor> losses = dense->RegularizationLosses();
  ASSERT_EQ(losses.size(), 1u);
  double squares = 0;
  for (const float w : dense->variables()[0]->storage().values<float>()) squares += w * w;
  EXPECT_NEAR(losses[0].item<float>(), 0.5 * squares, 1e-6);
}

// Contract: every registered layer that needs no required option says the output
// shape that it produces.
TEST(Layer, EveryRegisteredLayerHasADocumentedTable) {
  EXPECT_GE(Layers().Names().size(), 15u);
  for (const OptionTable* table : Layers().Tables()) {
    EXPECT_FALSE(table->doc.empty()) << table->name;
    EXPECT_NE(table->Find("name"), nullptr) << table->name;
  }
}

}  // namespace
}  // namespace tributary

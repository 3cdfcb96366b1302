// Models of features: what they compute, how they are fed, what they refuse.

#include <gmock/gmock.h>

#include "tests/trainer/loop/toy.h"
#include "trainer/data/source.h"
#include "trainer/loop/preprocess.h"
#include "trainer/model/functional.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

data::Dataset Named(std::vector<std::string> names, const std::vector<Tensor>& columns) {
  auto table = std::make_shared<data::Table>(*data::TableOf(columns));
  table->names = std::move(names);
  return data::Dataset::FromTable(table, "test");
}

// 60 rows: the target is whether `word` is "yes" or `number` is high.
data::Dataset Rows() {
  Tensor word = Tensor::Empty(DType::kString, {60}), number = Tensor::Empty(DType::kFloat32, {60});
  Tensor target = Tensor::Empty(DType::kFloat32, {60});
  const char* words[] = {"no", "yes", "perhaps"};
  for (int i = 0; i < 60; ++i) {
    word.mutable_data<std::string>()[i] = words[i * 7 % 3];
    number.mutable_data<float>()[i] = static_cast<float>(i * 11 % 60);
    target.mutable_data<float>()[i] = i * 7 % 3 == 1 || i * 11 % 60 > 40;
  }
  return Named({"unused", "number", "word", "target"}, {target, number, word, target});
}

OptionNode Features() {
  return OptionNode{{"number", "Numeric"},
                    {"word", "Vocabulary"},
                    {"range", {{"Bucketized", {{"source", "number"}, {"buckets", 4}}}}},
                    {"both", {{"Crossed", {{"features", std::vector<std::string>{"word", "range"}},
                                           {"buckets", 50}}}}}};
}

ModelPtr Make(const char* name, const OptionNode& features = Features()) {
  SetRandomSeed(4);
  return std::dynamic_pointer_cast<Model>(MakeLayer(name, {{"features", features}}));
}

TrainerOptions Options() {
  return {.loss = Losses().Make("BinaryCrossentropy", {}),
          .metrics = {testing::Metric("AUC")},
          .optimizer = Optimizers().Make("Adam", {{"learning_rate", 0.01}})};
}

class Recommenders : public ::testing::TestWithParam<const char*> {};

TEST_P(Recommenders, LearnFromNamedColumns) {
  const ModelPtr model = Make(GetParam());
  const Preprocessor features(model, Rows());
  const data::Dataset data = features.Apply(Rows()).Shuffle(60, 1).Batch(12);
  Trainer trainer(model, Options());
  trainer.Fit(data, {.epochs = 40});
  EXPECT_GT(*trainer.Evaluate(data).Find("auc"), 0.98);
}

// The same losses whether words become ids ahead of the steps or in them.
TEST_P(Recommenders, ComputeTheSameAheadOfTheStepsAndInThem) {
  std::vector<std::vector<float>> weights;
  for (const size_t max_bytes : {size_t{1} << 30, size_t{0}}) {
    const ModelPtr model = Make(GetParam());
    const Preprocessor features(model, Rows(), max_bytes);
    const data::Dataset data = features.Apply(Rows()).Batch(12);
    EXPECT_EQ(data.element_spec()[0].dtype == DType::kString ||
                  data.element_spec()[1].dtype == DType::kString,
              max_bytes == 0);
    Trainer trainer(model, Options());
    trainer.Fit(data, {.epochs = 2});
    weights.push_back(testing::Weights(*model));
  }
  EXPECT_EQ(weights[0], weights[1]);
}

INSTANTIATE_TEST_SUITE_P(All, Recommenders, ::testing::Values("WideDeep", "DLRM", "DeepFM"));

TEST(Preprocessor, FeedsOneRowOfIdsAndOneOfNumbers) {
  const ModelPtr model = Make("WideDeep");
  const data::Dataset data = Preprocessor(model, Rows()).Apply(Rows());
  // Ids of both parts, numbers of both parts (one and the same tensor), target.
  ASSERT_EQ(data.element_spec().size(), 4u);
  EXPECT_EQ(data.names().back(), "target");
  const Tensor ids = data::Materialize(*data.table()->columns[0], 60);
  EXPECT_EQ(ids.dtype(), DType::kInt64);
  EXPECT_EQ(ids.dim(1), 3);
}

std::string ErrorOf(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Preprocessor, NamesTheColumnThatIsMissingOrOfAnotherType) {
  EXPECT_THAT(ErrorOf([] {
                Preprocessor(Make("WideDeep", {{"numbre", "Numeric"}}), Rows());
              }),
              HasSubstr("no column 'numbre'; did you mean 'number'?"));
  EXPECT_THAT(ErrorOf([] {
                Preprocessor(Make("WideDeep", {{"word", "Numeric"}}), Rows());
              }),
              HasSubstr("input 'word' of the model is float32, the data's column is string"));
}

TEST(Features, RefuseACrossOfANumberAndAnUnknownOne) {
  const auto crossed = [](std::vector<std::string> with) {
    return OptionNode{{"number", "Numeric"},
                      {"word", "Vocabulary"},
                      {"both", {{"Crossed", {{"features", with}, {"buckets", 5}}}}}};
  };
  EXPECT_THAT(ErrorOf([&] { Make("WideDeep", crossed({"word", "number"})); }),
              HasSubstr("can't cross 'number'"));
  EXPECT_THAT(ErrorOf([&] { Make("WideDeep", crossed({"word", "wort"})); }),
              HasSubstr("no feature 'wort'"));
}

TEST(Features, AnIndicatorOfALearntVocabularyNeedsASize) {
  const auto features = [](const OptionNode& vocabulary) {
    return OptionNode{{"word", {{"Vocabulary", vocabulary}, {"deep", "indicator"}}}};
  };
  EXPECT_THAT(ErrorOf([&] { Make("WideDeep", features(OptionNode::Map())); }),
              HasSubstr("give its values or max_tokens"));
  EXPECT_NE(Make("WideDeep", features({{"max_tokens", 3}})), nullptr);
}

TEST(FactorizationMachine, IsTheSumOfThePairsProducts) {
  Tensor x = Tensor::Empty(DType::kFloat32, {2, 4, 5});
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    x.mutable_data<float>()[i] = std::sin(static_cast<float>(i));
  }
  const Tensor sum = (*MakeLayer("FactorizationMachine"))(x);
  const Tensor pairs = (*MakeLayer("DotInteraction"))(x);
  ASSERT_EQ(pairs.shape(), (Shape{2, 6}));
  for (int64_t b = 0; b < 2; ++b) {
    float expected = 0;
    for (int64_t p = 0; p < 6; ++p) expected += pairs.data<float>()[b * 6 + p];
    EXPECT_NEAR(sum.data<float>()[b], expected, 1e-5);
  }
}

TEST(Zipf, IsDeterministicAndFallsOffByItsPower) {
  const auto make = [](const char* split) {
    return data::DataSources().Make("zipf", {{"ids", std::vector<int64_t>{1000, 3}},
                                             {"count", 40000}, {"dense", 2}, {"seed", 5},
                                             {"exponent", 1.0}, {"split", split}});
  };
  const data::Dataset all = make("[:]"), part = make("[100:]");
  EXPECT_THAT(all.names(), ElementsAre("dense", "c0", "c1", "target"));
  const Tensor ids = data::Materialize(*all.table()->columns[1], 40000);
  const Tensor later = data::Materialize(*part.table()->columns[1], 10);
  EXPECT_EQ(ids.Slice(100, 110).ToVector<int64_t>(), later.ToVector<int64_t>());
  std::vector<double> counts(1000);
  for (const int64_t id : ids.values<int64_t>()) ++counts[id];
  // 1 / H(1000) of all, then a half, a tenth.
  EXPECT_NEAR(counts[0] / 40000, 1 / 7.4855, 0.01);
  EXPECT_NEAR(counts[1] / counts[0], 0.5, 0.05);
  EXPECT_NEAR(counts[9] / counts[0], 0.1, 0.02);
}

}  // namespace
}  // namespace tributary

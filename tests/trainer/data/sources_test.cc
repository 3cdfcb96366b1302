#include "core/io/env.h"
#include "core/tensor/npy.h"
#include "tests/temp_dir.h"
#include "tests/trainer/data/files_for_tests.h"
#include "trainer/data/digits.h"
#include "trainer/data/source.h"
#include "trainer/data/text_windows.h"

namespace tributary::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ErrorOf;
using testing::RealData;
using testing::ScopedEnv;

SplitPart::Range Resolve(const std::string& split, int64_t rows) {
  return ParseSplit(split).at(0).Resolve(rows);
}

TEST(Split, FollowsTensorFlowDatasets) {
  const auto expect = [](const std::string& split, int64_t begin, int64_t end) {
    const SplitPart::Range range = Resolve(split, 10000);
    EXPECT_EQ(range.begin, begin) << split;
    EXPECT_EQ(range.end, end) << split;
  };
  expect("test", 0, 10000);
  expect("test[:9000]", 0, 9000);
  expect("test[9000:]", 9000, 10000);
  expect("test[-1000:]", 9000, 10000);
  expect("test[:-1000]", 0, 9000);
  expect("test[10%:20%]", 1000, 2000);
  expect("test[-5%:]", 9500, 10000);
  expect("test[ 5 : 7 ]", 5, 7);
  expect("test[9000:70000]", 9000, 10000);
  expect("test[7:5]", 7, 7);
  EXPECT_EQ(ParseSplit("train[:10]+test").size(), 2u);
  EXPECT_EQ(ParseSplit("train[:10] + test")[1].name, "test");
}

TEST(Split, MistakesShowTheGrammar) {
  for (const char* bad : {"", "test[", "test[5]", "test[:x]", "test[:5.5%]", "test[:200%]",
                          "test[1:2:3]", "test+", "test[99999999999999999999:]"}) {
    EXPECT_THAT(ErrorOf<InvalidArgumentError>([&] { ParseSplit(bad); }), HasSubstr("test[:9000]"))
        << bad;
  }
}

TEST(TextWindows, SlideOverTheTextAndPredictTheNextCharacter) {
  EXPECT_EQ(CharacterVocabulary("banana"), "abn");
  const TablePtr next = TextWindows("banana", "abn", {.length = 3});
  EXPECT_EQ(next->rows, 3);
  EXPECT_THAT(Materialize(*next->columns[0], 3).ToVector<int32_t>(),
              ElementsAre(1, 0, 2, 0, 2, 0, 2, 0, 2));
  EXPECT_THAT(Materialize(*next->columns[1], 3).ToVector<int32_t>(), ElementsAre(0, 2, 0));
  const TablePtr sequence = TextWindows(
      "banana", "abn",
      {.length = 3, .stride = 2, .target = TextWindowOptions::Target::kSequence});
  EXPECT_EQ(sequence->rows, 2);
  EXPECT_THAT(Materialize(*sequence->columns[1], 2).ToVector<int32_t>(),
              ElementsAre(0, 2, 0, 0, 2, 0));
  EXPECT_THROW(TextWindows("ban", "abn", {.length = 3}), InvalidArgumentError);
  EXPECT_THROW(TextWindows("banana", "ab", {.length = 3}), InvalidArgumentError);
}

TEST(Digits, AreAFunctionOfSeedAndNumber) {
  const Digits all = GenerateDigits(0, 40, 3);
  const Digits some = GenerateDigits(17, 5, 3);
  EXPECT_EQ(some.images.ToVector<uint8_t>(), all.images.Slice(17, 22).ToVector<uint8_t>());
  EXPECT_EQ(some.labels.ToVector<int64_t>(), all.labels.Slice(17, 22).ToVector<int64_t>());
  EXPECT_NE(GenerateDigits(0, 40, 4).images.ToVector<uint8_t>(), all.images.ToVector<uint8_t>());
}

TEST(Digits, LookHandwritten) {
  // Every class occurs, ink covers a plausible part and stays off the border.
  const int64_t count = 400;
  const Digits digits = GenerateDigits(0, count, 1);
  std::set<int64_t> classes;
  for (int64_t i = 0; i < count; ++i) {
    classes.insert(digits.labels.data<int64_t>()[i]);
    const uint8_t* image = digits.images.data<uint8_t>() + i * 784;
    const double ink = static_cast<double>(std::count_if(image, image + 784, [](uint8_t v) {
      return v > 100;
    }));
    EXPECT_GT(ink, 25) << i;
    EXPECT_LT(ink, 300) << i;
  }
  EXPECT_EQ(classes.size(), 10u);
}

TEST(Digits, AreToldApartByTheirNearestNeighbour) {
  const Digits train = GenerateDigits(0, 1500, 1);
  const Digits test = GenerateDigits(0, 100, 2);
  int right = 0;
  for (int64_t i = 0; i < 100; ++i) {
    const uint8_t* x = test.images.data<uint8_t>() + i * 784;
    int64_t best = INT64_MAX, label = -1;
    for (int64_t j = 0; j < 1500; ++j) {
      const uint8_t* y = train.images.data<uint8_t>() + j * 784;
      int64_t distance = 0;
      for (int p = 0; p < 784; ++p) distance += (x[p] - y[p]) * (x[p] - y[p]);
      if (distance < best) {
        best = distance;
        label = train.labels.data<int64_t>()[j];
      }
    }
    right += label == test.labels.data<int64_t>()[i];
  }
  EXPECT_GE(right, 80);
  EXPECT_LE(right, 99);  // neither hopeless nor trivial
}

TEST(Sources, EveryOneIsDocumentedAndTakesTheSharedOptions) {
  EXPECT_THAT(DataSources().Names(), ::testing::IsSupersetOf({"csv", "digits", "idx", "mnist",
                                                              "npy", "text"}));
  for (const OptionTable* table : DataSources().Tables()) {
    EXPECT_FALSE(table->doc.empty()) << table->name;
    for (const char* shared : {"map", "select", "cache"}) {
      EXPECT_NE(table->Find(shared), nullptr) << table->name;
    }
  }
}

TEST(Sources, DigitsTakeTransformationsFromOptions) {
  const Dataset dataset = DataSources().Make(
      "digits", {{"count", 20},
                 {"split", "[5:15]"},
                 {"map", OptionNode::List{OptionNode{{"reshape", {{"shape", OptionNode::List{784}}}}},
                                          OptionNode{{"one_hot", {{"depth", 10}}}}}},
                 {"select", OptionNode::List{0, 1, 0}}});
  EXPECT_EQ(dataset.rows(), 10);
  const auto specs = dataset.element_spec();
  ASSERT_EQ(specs.size(), 3u);
  EXPECT_EQ(specs[0], (TensorSpec{DType::kFloat32, Shape{784}}));
  EXPECT_EQ(specs[1], (TensorSpec{DType::kFloat32, Shape{10}}));
  EXPECT_EQ(specs[2], specs[0]);
}

TEST(Sources, NpyReadsInputsAndTarget) {
  const TempDir dir("sources");
  const std::string x = dir.path() + "/x.npy", y = dir.path() + "/y.npy";
  WriteNpy(PosixEnv(), x, Tensor::FromVector<float>({1, 2, 3, 4}, Shape{2, 2}));
  WriteNpy(PosixEnv(), y, Tensor::FromVector<int32_t>({7, 8}));
  const Dataset dataset = DataSources().Make("npy", {{"x", OptionNode::List{x}}, {"y", y}});
  Iterator it = dataset.Batch(2).MakeIterator();
  EXPECT_THAT(it.Next()->tensors[1].ToVector<int32_t>(), ElementsAre(7, 8));
  WriteNpy(PosixEnv(), y, Tensor::FromVector<int32_t>({7, 8, 9}));
  EXPECT_THROW(DataSources().Make("npy", {{"x", OptionNode::List{x}}, {"y", y}}),
               InvalidArgumentError);
}

TEST(Sources, MnistFallsBackToDigitsOnlyWhenAsked) {
  const TempDir empty("sources");
  ScopedEnv env("TRIBUTARY_DATA_DIR", empty.path());
  EXPECT_THAT(ErrorOf<NotFoundError>([] { DataSources().Make("mnist", {{"split", "test"}}); }),
              ::testing::AllOf(HasSubstr("t10k-images"), HasSubstr("fetch_data mnist")));
  const Dataset digits =
      DataSources().Make("mnist", {{"split", "test[:90]"}, {"fallback", "digits"}});
  EXPECT_EQ(digits.rows(), 90);
  EXPECT_THAT(digits.ToString(), HasSubstr("mnist-like"));
  EXPECT_THROW(DataSources().Make("mnist", {{"split", "valid"}, {"fallback", "digits"}}),
               InvalidArgumentError);
}

TEST(Sources, RealMnistHasTheShapesOfKeras) {
  if (RealData().empty()) GTEST_SKIP() << "no MNIST: set TRIBUTARY_DATA_DIR";
  ScopedEnv env("TRIBUTARY_DATA_DIR", RealData());
  const Dataset train = DataSources().Make("mnist", {{"split", "test[:9000]"}});
  EXPECT_EQ(train.rows(), 9000);
  EXPECT_EQ(train.element_spec()[0], (TensorSpec{DType::kFloat32, Shape{28, 28, 1}}));
  EXPECT_EQ(train.element_spec()[1], (TensorSpec{DType::kInt64, Shape{}}));
  Iterator it = train.Batch(10).MakeIterator();
  const Batch* batch = it.Next();
  EXPECT_THAT(batch->tensors[1].ToVector<int64_t>(),
              ElementsAre(7, 2, 1, 0, 4, 1, 4, 9, 5, 9));  // as every MNIST tutorial prints
  const auto pixels = batch->tensors[0].values<float>();
  EXPECT_EQ(*std::max_element(pixels.begin(), pixels.end()), 1.0f);
  EXPECT_EQ(*std::min_element(pixels.begin(), pixels.end()), 0.0f);
}

TEST(Sources, RealAdultIsReadAsItComes) {
  if (RealData().empty()) GTEST_SKIP() << "no UCI Adult: set TRIBUTARY_DATA_DIR";
  const std::string folder = RealData() + "/adult/";
  const OptionNode::List columns = {
      "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation",
      "relationship", "race", "sex", "capital_gain", "capital_loss", "hours_per_week",
      "native_country", "income"};
  const auto make = [&](const std::string& file) {
    return DataSources().Make("csv", {{"path", folder + file},
                                      {"fit", folder + "adult.data"},
                                      {"columns", columns},
                                      {"label", "income"},
                                      {"label_strip", "."},
                                      {"comment", "|"}});
  };
  const Dataset train = make("adult.data"), test = make("adult.test");
  EXPECT_EQ(train.rows(), 32561);
  EXPECT_EQ(test.rows(), 16281);
  EXPECT_EQ(train.element_spec(), test.element_spec());
  EXPECT_EQ(train.element_spec()[0].shape, (Shape{105}));  // 6 numbers, 99 words
  int64_t rich = 0;
  Iterator it = train.MakeIterator();
  while (const Batch* row = it.Next()) rich += row->tensors[1].item<int64_t>();
  EXPECT_EQ(rich, 7841);
}

TEST(Sources, RealShakespeareHasSixtyFiveCharacters) {
  if (RealData().empty()) GTEST_SKIP() << "no Shakespeare: set TRIBUTARY_DATA_DIR";
  const Dataset text = DataSources().Make(
      "text", {{"path", RealData() + "/text/tinyshakespeare.txt"}, {"split", "[:90%]"}});
  EXPECT_THAT(text.ToString(), HasSubstr("vocabulary 65"));
  EXPECT_EQ(text.rows(), 1003855 - 64);
}

}  // namespace
}  // namespace tributary::data

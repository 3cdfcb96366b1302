// Feature layers against Keras 3.15's values.

#include <gmock/gmock.h>

#include "tests/temp_dir.h"
#include "tests/trainer/golden.h"
#include "trainer/layers/categorical.h"
#include "trainer/model/model.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;
using testing::ExpectNear;

using Words = std::vector<std::string>;

int64_t NumIds(const LayerPtr& layer) {
  return dynamic_cast<const Categorical&>(*layer).num_ids();
}

TEST(StringLookup, LearnsTheMostFrequentWordsFirst) {
  const Tensor words = Tensor::FromVector<std::string>(
      {"b", "c", "b", "a", "c", "b", "d", "e", "e"});
  const LayerPtr lookup = MakeLayer("StringLookup");
  EXPECT_TRUE(lookup->NeedsAdapt());
  EXPECT_THROW((*lookup)(words), FailedPreconditionError);
  lookup->Adapt({words});
  EXPECT_FALSE(lookup->NeedsAdapt());
  EXPECT_EQ(NumIds(lookup), 6);
  // Keras: ['[UNK]', 'b', 'e', 'c', 'd', 'a'].
  EXPECT_THAT((*lookup)(words).ToVector<int64_t>(), ElementsAre(1, 3, 1, 5, 3, 1, 4, 2, 2));
}

TEST(StringLookup, KeepsMaxTokensOfWhatItLearns) {
  const Tensor words = Tensor::FromVector<std::string>({"b", "c", "b", "b", "e", "e"});
  const LayerPtr lookup = MakeLayer("StringLookup", {{"max_tokens", 3}});
  lookup->Adapt({words});
  EXPECT_EQ(NumIds(lookup), 3);
  EXPECT_THAT((*lookup)(words).ToVector<int64_t>(), ElementsAre(1, 0, 1, 1, 2, 2));
}

TEST(StringLookup, ReadsAVocabularyFile) {
  const TempDir dir("words");
  const std::string path = dir.Write("words.txt", "x\r\ny z\n");
  const LayerPtr lookup = MakeLayer("StringLookup", {{"vocabulary_file", path}});
  const Tensor words = Tensor::FromVector<std::string>({"y z", "?", "x"});
  EXPECT_THAT((*lookup)(words).ToVector<int64_t>(), ElementsAre(2, 0, 1));
  EXPECT_THROW(MakeLayer("StringLookup", {{"vocabulary", Words{"a", "a"}}}),
               InvalidArgumentError);
  EXPECT_THROW(MakeLayer("StringLookup", {{"vocabulary", Words{"a"}}, {"vocabulary_file", path}}),
               InvalidArgumentError);
}

TEST(IntegerLookup, LearnsLikeKeras) {
  const LayerPtr lookup = MakeLayer("IntegerLookup");
  lookup->Adapt({Tensor::FromVector<int64_t>({3, 1, 1, 2, 2, 9, -4})});
  // Keras: [-1, 2, 1, 9, 3, -4].
  EXPECT_THAT((*lookup)(Tensor::FromVector<int32_t>({2, 1, 9, 3, -4, 7})).ToVector<int64_t>(),
              ElementsAre(1, 2, 3, 4, 5, 0));
}

TEST(Hashing, EqualsKeras) {
  const LayerPtr seven = MakeLayer("Hashing", {{"num_bins", 7}});
  const Tensor words =
      Tensor::FromVector<std::string>({"Private", "?", "Self-emp-inc", ""}, {4, 1});
  EXPECT_THAT((*seven)(words).ToVector<int64_t>(), ElementsAre(3, 5, 6, 6));
  const LayerPtr thousand = MakeLayer("Hashing", {{"num_bins", 1000}});
  EXPECT_THAT((*thousand)(Tensor::FromVector<int32_t>({5, -1, 0})).ToVector<int64_t>(),
              ElementsAre(971, 430, 735));
  EXPECT_THROW((*thousand)(Tensor(1.5f)), InvalidArgumentError);
}

TEST(HashedCrossing, EqualsKeras) {
  const LayerPtr cross = MakeLayer("HashedCrossing", {{"num_bins", 97}});
  CallContext context;
  const Tensor a = Tensor::FromVector<std::string>({"Masters", "HS-grad"}, {2, 1});
  const Tensor b = Tensor::FromVector<std::string>({"Sales", "x"}, {2, 1});
  EXPECT_THAT((*cross)({a, b}, context).ToVector<int64_t>(), ElementsAre(6, 72));
}

TEST(Discretization, EqualsKeras) {
  const LayerPtr ranges =
      MakeLayer("Discretization", {{"bin_boundaries", std::vector<double>{0, 1, 2.5}}});
  EXPECT_EQ(NumIds(ranges), 4);
  const Tensor x = Tensor::FromVector<float>({-1, 0, .5, 1, 2.5, 9}, {6, 1});
  EXPECT_THAT((*ranges)(x).ToVector<int64_t>(), ElementsAre(0, 1, 1, 2, 3, 3));
  EXPECT_THROW(MakeLayer("Discretization", {{"bin_boundaries", std::vector<double>{1, 1}}}),
               InvalidArgumentError);
}

TEST(Discretization, LearnsRangesThatHoldEquallyManyValues) {
  std::vector<float> values(100);
  for (int i = 0; i < 100; ++i) values[i] = static_cast<float>(i * 37 % 100);
  const LayerPtr ranges = MakeLayer("Discretization", {{"num_bins", 4}});
  ranges->Adapt({Tensor::FromVector(values)});
  std::vector<int> counts(4);
  const Tensor ids = (*ranges)(Tensor::FromVector(values));
  for (const int64_t id : ids.values<int64_t>()) ++counts[id];
  EXPECT_THAT(counts, ElementsAre(25, 25, 25, 25));
}

TEST(Normalization, EqualsKeras) {
  const Tensor x = Tensor::FromVector<float>({1, 10, 2, 20, 6, -3}, {3, 2});
  const LayerPtr learnt = MakeLayer("Normalization");
  learnt->Adapt({x});
  const std::vector<float> expected = {-0.92582011f, 0.10619885f, -0.46291006f,
                                       1.16818738f,  1.38873017f, -1.27438617f};
  ExpectNear((*learnt)(x), expected);
  const LayerPtr given =
      MakeLayer("Normalization", {{"mean", std::vector<double>{3, 9}},
                                  {"variance", std::vector<double>{14.0 / 3, 266.0 / 3}}});
  ExpectNear((*given)(x), expected);
}

TEST(CategoryEncoding, EqualsKeras) {
  const Tensor ids = Tensor::FromVector<int64_t>({0, 1, 3, 3}, {2, 2});
  ExpectNear((*MakeLayer("CategoryEncoding", {{"num_tokens", 4}}))(ids),
             {1, 1, 0, 0, 0, 0, 0, 1});
  ExpectNear((*MakeLayer("CategoryEncoding", {{"num_tokens", 4}, {"output_mode", "count"}}))(ids),
             {1, 1, 0, 0, 0, 0, 0, 2});
  const LayerPtr one =
      MakeLayer("CategoryEncoding", {{"num_tokens", 3}, {"output_mode", "one_hot"}});
  ExpectNear((*one)(Tensor::FromVector<int64_t>({0, 2})), {1, 0, 0, 0, 0, 1});
  EXPECT_THROW(one->ComputeOutputShape({{-1, 2}}), InvalidArgumentError);
}

TEST(Embedding, CombinesTheRowsOfAnExample) {
  const Tensor ids = Tensor::FromVector<int64_t>({2, 0, -1, 1, 1, 1}, {2, 3});
  const auto combined = [&](const char* combiner) {
    const LayerPtr layer = MakeLayer(
        "Embedding", {{"input_dim", 3}, {"output_dim", 2}, {"combiner", combiner}});
    layer->BuildOnce({{2, 3}}, "embedding");
    layer->variables()[0]->Assign(Tensor::FromVector<float>({1, 2, 3, 4, 5, 6}, {3, 2}));
    return (*layer)(ids);
  };
  ExpectNear(combined("sum"), {6, 8, 9, 12});
  ExpectNear(combined("mean"), {3, 4, 3, 4});
  ExpectNear(combined("sqrtn"), {4.2426407f, 5.6568542f, 5.1961524f, 6.9282032f});
}

}  // namespace
}  // namespace tributary

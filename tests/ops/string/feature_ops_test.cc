// Ids of features against TensorFlow 2.21's.

#include "ops/feature_ops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/string/fingerprint.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;

// n letters in a fixed disorder.
std::string Letters(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += static_cast<char>('a' + i * 7 % 26);
  return text;
}

TEST(Fingerprint64, IsTensorFlowsForEveryLengthClass) {
  const std::pair<int, uint64_t> expected[] = {
      {0, 1936946117179621456u},   {1, 3694432073954588132u},   {2, 7334479770752477263u},
      {3, 3268219959478574187u},   {4, 8899178591127745170u},   {7, 7865121719684446987u},
      {8, 1420088497208371233u},   {9, 7998439609122378831u},   {15, 2567849662781557868u},
      {16, 8401081827976153439u},  {17, 2237273621417572890u},  {31, 626755416451493349u},
      {32, 1600711689105381821u},  {33, 8045080651094301868u},  {48, 5711481771250394065u},
      {63, 8393302367356270294u},  {64, 6926143071330858655u},  {65, 2768067016444695309u},
      {127, 4960837163188540313u}, {128, 1257756605311619470u}, {129, 1060550032972533880u},
      {200, 5852185341676273205u}, {1000, 5794777144760321745u}};
  for (const auto& [length, bucket] : expected) {
    EXPECT_EQ(Fingerprint64(Letters(length)) % uint64_t{INT64_MAX}, bucket) << length;
  }
}

TEST(StringToHashBucketFast, EqualsTensorFlow) {
  const Tensor words = Tensor::FromVector<std::string>({"Private", "?", "Self-emp-inc", ""});
  EXPECT_THAT(ops::StringToHashBucketFast(words, 7).ToVector<int64_t>(), ElementsAre(3, 5, 6, 6));
}

TEST(IntegerToHashBucket, EqualsTheHashOfTheDigits) {
  const Tensor numbers = Tensor::FromVector<int64_t>({5, -1, 123456789012, 0});
  EXPECT_THAT(ops::IntegerToHashBucket(numbers, 1000).ToVector<int64_t>(),
              ElementsAre(971, 430, 427, 735));
}

TEST(HashedCross, EqualsTensorFlowOfStringsAndIntegers) {
  const Tensor a = Tensor::FromVector<std::string>({"Masters", "HS-grad", "?"});
  const Tensor b = Tensor::FromVector<std::string>({"Sales", "Tech-support", "?"});
  const Tensor n = Tensor::FromVector<int64_t>({3, 0, -7});
  EXPECT_THAT(ops::HashedCross({a, b}, 1000).ToVector<int64_t>(), ElementsAre(858, 78, 994));
  EXPECT_THAT(ops::HashedCross({a, n}, 1000).ToVector<int64_t>(), ElementsAre(148, 653, 708));
  const auto one = [](const char* word) { return Tensor::FromVector<std::string>({word}); };
  EXPECT_THAT(ops::HashedCross({one("a"), one("b"), one("c")}, 1000).ToVector<int64_t>(),
              ElementsAre(792));
}

TEST(VocabularyLookup, EqualsKerasWithOneAndWithSeveralUnknownIds) {
  const Tensor words = Tensor::FromVector<std::string>({"a", "b", "c"});
  const Tensor keys = Tensor::FromVector<std::string>({"b", "z", "yy", "c", "w"});
  EXPECT_THAT(ops::VocabularyLookup(keys, words, 1).ToVector<int64_t>(),
              ElementsAre(2, 0, 0, 3, 0));
  EXPECT_THAT(ops::VocabularyLookup(keys, words, 3).ToVector<int64_t>(),
              ElementsAre(4, 1, 1, 5, 2));
  const Tensor tens = Tensor::FromVector<int64_t>({10, 20, 30});
  const Tensor numbers = Tensor::FromVector<int64_t>({20, 5, -4, 30, 7});
  EXPECT_THAT(ops::VocabularyLookup(numbers, tens, 3).ToVector<int64_t>(),
              ElementsAre(4, 2, 2, 5, 1));
}

TEST(VocabularyLookup, RefusesUnknownWordsWhenThereIsNoIdForThem) {
  const Tensor words = Tensor::FromVector<std::string>({"a"});
  EXPECT_THROW(ops::VocabularyLookup(Tensor::FromVector<std::string>({"b"}), words, 0),
               InvalidArgumentError);
}

TEST(Bucketize, StartsARangeAtItsBoundary) {
  const Tensor x = Tensor::FromVector<float>({-1, 0, 0.5, 1, 2.5, 9});
  EXPECT_THAT(ops::Bucketize(x, {0, 1, 2.5}).ToVector<int32_t>(), ElementsAre(0, 1, 1, 2, 3, 3));
}

}  // namespace
}  // namespace tributary

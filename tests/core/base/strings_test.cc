#include "core/base/strings.h"

namespace tributary {
namespace {

TEST(Strings, SnakeCaseFollowsKeras) {
  EXPECT_EQ(ToSnakeCase("Dense"), "dense");
  EXPECT_EQ(ToSnakeCase("MaxPooling2D"), "max_pooling2d");
  EXPECT_EQ(ToSnakeCase("GlobalAveragePooling2D"), "global_average_pooling2d");
  EXPECT_EQ(ToSnakeCase("BatchNormalization"), "batch_normalization");
  EXPECT_EQ(ToSnakeCase("Conv2D"), "conv2d");
  EXPECT_EQ(ToSnakeCase("AUC"), "auc");
}

TEST(Strings, NearestNameCountsASwapAsOne) {
  EXPECT_EQ(NearestName("lera", {"lear", "other"}), "lear");
  EXPECT_EQ(NearestName("Adma", {"Adam", "SGD"}), "Adam");
  EXPECT_EQ(NearestName("momentum", {"Adam", "SGD"}), "");
  EXPECT_EQ(DidYouMean("Dens", {"Dense"}), "; did you mean 'Dense'?");
}

TEST(Strings, SplitKeepsEmptyParts) {
  EXPECT_EQ(Split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(Split("", ','), (std::vector<std::string>{""}));
  EXPECT_EQ(Trim(" \t x y\n"), "x y");
}

}  // namespace
}  // namespace tributary

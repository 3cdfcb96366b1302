#include "launch/config/paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/temp_dir.h"

namespace tributary {
namespace {

TEST(NearPath, ProposesWhatIsThere) {
  const TempDir dir("paths");
  dir.Write("data/train.csv", "x");
  EXPECT_THAT(NearPath(dir.path() + "/data/trian.csv"), testing::HasSubstr("/data/train.csv'"));
  EXPECT_THAT(NearPath(dir.path() + "/dta/trian.csv"), testing::HasSubstr("/data/train.csv'"));
  EXPECT_EQ(NearPath(dir.path() + "/data/nothing_alike.npy"), "");
}

TEST(NearPath, ALinkToNowhereLeadsNowhere) {
  const TempDir dir("paths");
  std::filesystem::create_symlink("/gone", dir.path() + "/x.csv");
  std::filesystem::create_symlink("/gone", dir.path() + "/y.csv");
  EXPECT_EQ(NearPath(dir.path() + "/x.csv"), "");
}

}  // namespace
}  // namespace tributary

// The tests' own folders: gone afterwards, kept after a failure.

#include "tests/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace tributary {
namespace {

namespace fs = std::filesystem;

TEST(TempDir, IsGoneAfterwardsWithWhatMayNotBeWrittenTo) {
  std::string path;
  {
    const TempDir outer("outer");
    const std::string target = outer.Write("kept", "1");
    {
      const TempDir dir("temp_dir");
      path = dir.path();
      const fs::path file = dir.Write("a/b/file", "bytes");
      EXPECT_EQ(fs::file_size(file), 5u);
      fs::create_symlink(outer.path(), dir.path() + "/link");
      fs::permissions(file.parent_path(), fs::perms::none);
      fs::permissions(dir.path() + "/a", fs::perms::owner_read);
    }
    EXPECT_FALSE(fs::exists(path));
    EXPECT_TRUE(fs::exists(target)) << "a link is removed, not what it leads to";
  }
}

// Run by the test below, in a process of its own.
TEST(TempDir, Child) {
  if (!std::getenv("TRIBUTARY_TEMP_DIR_FAILS")) return;
  { const TempDir before("before"); }
  const TempDir dir("failed");
  dir.Write("evidence", "1");
  ADD_FAILURE();
}

TEST(TempDir, StaysWhenItsTestFails) {
  const TempDir dir("temp_dir");
  const std::string program = fs::read_symlink("/proc/self/exe");
  const std::string command = "TRIBUTARY_TEMP_DIR_FAILS=1 TEST_TMPDIR=" + dir.path() + " " +
                              program + " --gtest_filter=TempDir.Child > " + dir.path() +
                              "/output 2>&1";
  EXPECT_NE(std::system(command.c_str()), 0);
  std::ifstream file(dir.path() + "/output");
  const std::string output(std::istreambuf_iterator<char>(file), {});
  EXPECT_THAT(output, testing::HasSubstr("has left: " + dir.path() + "/failed_"));
  size_t folders = 0;
  for (const auto& entry : fs::directory_iterator(dir.path())) {
    if (!entry.is_directory()) continue;
    ++folders;
    EXPECT_TRUE(fs::exists(entry.path() / "evidence"));
  }
  EXPECT_EQ(folders, 1u);
}

}  // namespace
}  // namespace tributary

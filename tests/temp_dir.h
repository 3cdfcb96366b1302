#pragma once
// A folder of a test, for one scope.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace tributary {

// Made below testing::TempDir() as <name>_XXXXXX, and removed with this object, whatever
// it holds. When the current test has failed it stays, and a line says where. What writes
// into it (servers, processes) must have ended before.
class TempDir {
 public:
  explicit TempDir(const std::string& name) : path_(::testing::TempDir() + name + "_XXXXXX") {
    if (!mkdtemp(path_.data())) throw std::system_error(errno, std::generic_category(), path_);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    if (::testing::Test::HasFailure()) {
      GTEST_LOG_(INFO) << "what the test has left: " << path_;
      return;
    }
    namespace fs = std::filesystem;
    std::error_code error;
    // Nothing can be removed from a folder that may not be written to.
    for (fs::recursive_directory_iterator it(path_, error), end; it != end; it.increment(error)) {
      if (!fs::is_directory(it->symlink_status(error))) continue;
      fs::permissions(it->path(), fs::perms::owner_all, fs::perm_options::add, error);
    }
    fs::remove_all(path_, error);
    EXPECT_FALSE(error) << path_ << " is left behind: " << error.message();
  }

  const std::string& path() const { return path_; }

  // A file of the folder, in place of what it was; its path. Parent folders are made.
  std::string Write(const std::string& name, const std::string& bytes) const {
    const std::string path = path_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream file(path, std::ios::binary);
    file << bytes;
    file.close();
    EXPECT_TRUE(file) << path << " cannot be written";
    return path;
  }

 private:
  std::string path_;
};

}  // namespace tributary

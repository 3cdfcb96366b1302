#pragma once
// Files for tests, and where the real data is.

#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/temp_dir.h"

namespace tributary::data::testing {

inline std::string Gzip(const std::string& bytes) {
  const TempDir dir("gzip");
  const std::string path = dir.Write("plain", bytes);
  EXPECT_EQ(std::system(("gzip -n " + path).c_str()), 0);
  std::ifstream file(path + ".gz", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The folder of real data sets, or "" (then skip loudly).
inline std::string RealData() {
  if (const char* dir = std::getenv("TRIBUTARY_DATA_DIR"); dir && *dir) return dir;
  const std::string dir = std::string(TRIBUTARY_SOURCE_DIR) + "/../shared/data";
  return std::filesystem::is_directory(dir) ? dir : "";
}

// Sets a variable of the environment for the length of a scope.
class ScopedEnv {
 public:
  ScopedEnv(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    setenv(name, value.c_str(), 1);
  }
  ~ScopedEnv() { old_.empty() ? unsetenv(name_) : setenv(name_, old_.c_str(), 1); }

 private:
  const char* name_;
  std::string old_;
};

// What `action` throws, as text; "" when it does not throw E.
template <typename E, typename F>
std::string ErrorOf(F&& action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another error: " << error.what();
    return "";
  }
  ADD_FAILURE() << "no error";
  return "";
}

}  // namespace tributary::data::testing

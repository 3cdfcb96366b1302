#include "trainer/data/files.h"

#include <cstdlib>
#include <filesystem>

#include "core/base/errors.h"
#include "core/base/strings.h"

namespace tributary::data {
namespace {

constexpr int kLevels = 5;

void AddAbove(Env* env, std::filesystem::path dir, std::vector<std::string>* found) {
  for (int level = 0; level < kLevels && !dir.empty(); ++level) {
    for (const char* name : {"shared/data", ".cache/data"}) {
      const std::string candidate = (dir / name).string();
      if (env->IsDirectory(candidate) &&
          std::find(found->begin(), found->end(), candidate) == found->end()) {
        found->push_back(candidate);
      }
    }
    if (dir == dir.root_path()) break;
    dir = dir.parent_path();
  }
}

}  // namespace

std::vector<std::string> DataDirs(Env* env) {
  if (const char* dir = std::getenv("TRIBUTARY_DATA_DIR"); dir && *dir) return {dir};
  std::vector<std::string> dirs;
  std::error_code error;
  AddAbove(env, std::filesystem::current_path(error), &dirs);
  AddAbove(env, std::filesystem::read_symlink("/proc/self/exe", error).parent_path(), &dirs);
  return dirs;
}

std::string FindDataFile(Env* env, const std::string& set,
                         const std::vector<std::string>& names) {
  for (const std::string& dir : DataDirs(env)) {
    for (const std::string& folder : {JoinPath(dir, set), dir}) {
      for (const std::string& name : names) {
        const std::string path = JoinPath(folder, name);
        if (env->Exists(path)) return path;
      }
    }
  }
  return "";
}

std::string FindInput(Env* env, const std::string& path) {
  if (env->Exists(path)) return path;
  const std::vector<std::string> dirs = DataDirs(env);
  if (!StartsWith(path, "/")) {
    for (const std::string& dir : dirs) {
      const std::string candidate = JoinPath(dir, path);
      if (env->Exists(candidate)) return candidate;
    }
  }
  throw NotFoundError("[data] there is no file {}; looked here and in {}; set TRIBUTARY_DATA_DIR "
                      "to where your data is",
                      path, dirs.empty() ? "no data folder" : Join(dirs, ", "));
}

}  // namespace tributary::data

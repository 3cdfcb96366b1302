#include "launch/config/paths.h"

#include <filesystem>

#include "core/base/strings.h"
#include "core/io/env.h"
#include "trainer/data/files.h"

namespace tributary {
namespace fs = std::filesystem;
namespace {

constexpr int kMaxEntries = 2000;

// "; there is '/data', but no 'mnist' in it".
std::string WhatIsMissing(const fs::path& path) {
  fs::path folder;
  std::error_code code;
  for (const fs::path& part : path) {
    if (!fs::exists(folder / part, code)) {
      return fmt::format("; there is '{}', but no '{}' in it", folder.string(), part.string());
    }
    folder /= part;
  }
  return "";
}

}  // namespace

std::string CheckInputPath(const std::string& path, std::string* error) {
  Env* env = PosixEnv();
  if (env->Exists(path)) return path;
  std::string near = NearPath(path);
  std::vector<std::string> dirs;
  if (!StartsWith(path, "/")) dirs = data::DataDirs(env);
  for (const std::string& dir : dirs) {
    const std::string candidate = JoinPath(dir, path);
    if (env->Exists(candidate)) return path;
    if (near.empty()) near = NearPath(candidate);
  }
  *error = fmt::format("there is no file '{}'{}", path, near);
  if (near.empty() && StartsWith(path, "/")) {
    *error += WhatIsMissing(path);
  } else if (near.empty()) {
    *error += dirs.empty() ? "" : " (looked here and in " + Join(dirs, ", ") + ")";
    *error += "; set TRIBUTARY_DATA_DIR to the folder that your data is in";
  }
  return path;
}

std::string NearPath(const std::string& path) {
  const fs::path wanted(path);
  // The deepest folder that is there; its entry nearest to the next part.
  fs::path folder;
  std::error_code code;
  for (auto part = wanted.begin(); part != wanted.end(); ++part) {
    const fs::path next = folder / *part;
    if (fs::exists(next, code)) {
      folder = next;
      continue;
    }
    std::vector<std::string> names;
    const fs::path listed = folder.empty() ? fs::path(".") : folder;
    for (fs::directory_iterator it(listed, code), end; !code && it != end; it.increment(code)) {
      names.push_back(it->path().filename().string());
      if (names.size() >= kMaxEntries) break;
    }
    std::sort(names.begin(), names.end());
    std::string near = NearestName(part->string(), names);
    if (near.empty()) return "";
    fs::path guess = folder / near;
    if (!fs::exists(guess, code)) return "";  // a link to nowhere, or not to be entered
    for (++part; part != wanted.end(); ++part) guess /= *part;
    // What is wrong further on is looked for in turn: only what is there is proposed.
    if (!fs::exists(guess, code)) return NearPath(guess.string());
    return fmt::format("; did you mean '{}'?", guess.string());
  }
  return "";
}

}  // namespace tributary

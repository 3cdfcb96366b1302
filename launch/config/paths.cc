#include "launch/config/paths.h"

#include <cstdlib>
#include <filesystem>

#include "core/base/strings.h"

namespace tributary {
namespace fs = std::filesystem;
namespace {

constexpr int kMaxEntries = 2000;

std::vector<fs::path> Roots(const std::string& job_folder) {
  std::vector<fs::path> roots = {""};
  if (!job_folder.empty()) roots.push_back(job_folder);
  if (const char* data = std::getenv("TRIBUTARY_DATA_DIR"); data && *data) {
    roots.push_back(data);
  } else {
    roots.push_back("../shared/data");
    if (!job_folder.empty()) roots.push_back(fs::path(job_folder) / "../../shared/data");
  }
  return roots;
}

}  // namespace

std::string FindInputPath(const std::string& path, const std::string& job_folder,
                          std::string* error) {
  std::error_code code;
  std::string near;
  std::vector<std::string> tried;
  for (const fs::path& root : Roots(job_folder)) {
    const fs::path candidate = root / path;
    if (fs::exists(candidate, code)) return candidate.lexically_normal().string();
    if (near.empty()) near = NearPath(candidate.string());
    tried.push_back(root.empty() ? "." : root.lexically_normal().string());
    if (fs::path(path).is_absolute()) break;
  }
  *error = fmt::format("there is no file '{}'{}", path, near);
  if (near.empty() && tried.size() > 1) *error += " (looked in " + Join(tried, ", ") + ")";
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
    for (++part; part != wanted.end(); ++part) guess /= *part;
    return fmt::format("; did you mean '{}'?", guess.string());
  }
  return "";
}

}  // namespace tributary

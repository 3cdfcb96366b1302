#include "trainer/callbacks/callback.h"

#include <filesystem>

namespace tributary {

void Logs::Set(const std::string& name, double value) {
  for (Entry& entry : entries_) {
    if (entry.first == name) {
      entry.second = value;
      return;
    }
  }
  entries_.emplace_back(name, value);
}

const double* Logs::Find(const std::string& name) const {
  for (const Entry& entry : entries_) {
    if (entry.first == name) return &entry.second;
  }
  return nullptr;
}

double Logs::Get(const std::string& name) const {
  if (const double* value = Find(name)) return *value;
  std::vector<std::string> names;
  for (const Entry& entry : entries_) names.push_back(entry.first);
  throw NotFoundError("[logs] there is no '{}'{} (there are: {})", name,
                      DidYouMean(name, names), Join(names, ", "));
}

CallbackRegistry& Callbacks() {
  static CallbackRegistry registry("callback");
  return registry;
}

std::string CallbackContext::Path(const std::string& path) const {
  return (std::filesystem::path(run_dir) / path).lexically_normal().string();
}

}  // namespace tributary

#include "core/base/option_registry.h"

#include "core/base/strings.h"

namespace tributary {
namespace {

std::map<std::string, const OptionKind*>& Kinds() {
  static std::map<std::string, const OptionKind*> kinds;
  return kinds;
}

}  // namespace

const OptionKind* FindOptionKind(const std::string& kind) {
  const auto it = Kinds().find(kind);
  return it == Kinds().end() ? nullptr : it->second;
}

std::vector<std::string> OptionKindNames() {
  std::vector<std::string> names;
  for (const auto& [name, kind] : Kinds()) names.push_back(name);
  return names;
}

namespace internal {

void AddOptionKind(const std::string& kind, const OptionKind* registry) {
  if (!Kinds().emplace(kind, registry).second) {
    throw AlreadyExistsError("[registry] the kind '{}' has two registries", kind);
  }
}

// Keras accepts a class name in snake case too ("glorot_uniform").
const OptionTable* FindByAlias(const std::vector<const OptionTable*>& tables,
                               const std::string& name) {
  for (const OptionTable* table : tables) {
    if (ToSnakeCase(table->name) == name) return table;
    for (const std::string& alias : table->aliases) {
      if (alias == name) return table;
    }
  }
  return nullptr;
}

}  // namespace internal
}  // namespace tributary

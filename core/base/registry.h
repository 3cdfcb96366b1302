#pragma once
// A named table of things that register themselves before main().
//
// One Registry<T> per kind of thing (layer, optimizer, data source, ...). The
// registry is the only list: documentation, validation and contract tests walk
// it. Entries are added during static initialisation only, so that reading
// needs no lock.

#include <map>
#include <string>
#include <vector>

#include "core/base/errors.h"
#include "core/base/strings.h"

namespace tributary {

template <typename T>
class Registry {
 public:
  // `kind` is the word used in messages: "layer", "optimizer", ...
  explicit Registry(std::string kind) : kind_(std::move(kind)) {}

  // Throws AlreadyExistsError when the name is taken.
  void Add(const std::string& name, T entry) {
    if (!entries_.emplace(name, std::move(entry)).second) {
      throw AlreadyExistsError("[registry] {} '{}' is registered twice", kind_, name);
    }
  }

  const T* Find(const std::string& name) const {
    const auto it = entries_.find(name);
    return it == entries_.end() ? nullptr : &it->second;
  }

  // Throws NotFoundError that names the nearest entry and lists all.
  const T& Get(const std::string& name) const {
    if (const T* entry = Find(name)) return *entry;
    throw NotFoundError("[registry] there is no {} '{}'{} (known: {})", kind_, name,
                        DidYouMean(name, Names()), Join(Names(), ", "));
  }

  // Sorted.
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& [name, entry] : entries_) names.push_back(name);
    return names;
  }

  const std::map<std::string, T>& entries() const { return entries_; }
  const std::string& kind() const { return kind_; }

 private:
  std::string kind_;
  std::map<std::string, T> entries_;
};

// Unique names for registrar objects, also in one merged translation unit.
#define TRB_CONCAT_INNER(a, b) a##b
#define TRB_CONCAT(a, b) TRB_CONCAT_INNER(a, b)
#define TRB_UNIQUE(prefix) TRB_CONCAT(prefix, __COUNTER__)

}  // namespace tributary

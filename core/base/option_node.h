#pragma once
// An unvalidated value as it comes from a file, a command line or code: a scalar,
// a list, or a map that keeps its order, with the place it was written at.

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace tributary {

// Place in a source; the reader of the source numbers it. Lines and columns
// count from 1; source -1 is code.
struct OptionMark {
  int source = -1;
  int line = 0;
  int column = 0;
};

struct OptionNode {
  // Text whose type the table decides ("1e6" is an int or a string), as YAML's
  // unquoted scalars are.
  struct Plain {
    std::string text;
  };
  using List = std::vector<OptionNode>;
  struct Entry;
  using Map = std::vector<Entry>;

  OptionNode() = default;
  OptionNode(bool b) : v(b) {}
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  OptionNode(T i) : v(static_cast<int64_t>(i)) {}
  template <std::floating_point T>
  OptionNode(T d) : v(static_cast<double>(d)) {}
  OptionNode(const char* s) : v(std::string(s)) {}
  OptionNode(std::string s) : v(std::move(s)) {}
  OptionNode(Plain p) : v(std::move(p)) {}
  OptionNode(List list) : v(std::move(list)) {}
  template <typename T>
    requires(!std::same_as<T, OptionNode>) && std::constructible_from<OptionNode, T>
  OptionNode(const std::vector<T>& list) : v(List(list.begin(), list.end())) {}
  OptionNode(Map map);
  // A map: {{"units", 128}, {"activation", "relu"}}.
  OptionNode(std::initializer_list<Entry> map);

  bool IsNull() const { return std::holds_alternative<std::monostate>(v); }
  const List* AsList() const { return std::get_if<List>(&v); }
  const Map* AsMap() const { return std::get_if<Map>(&v); }
  const std::string* AsString() const { return std::get_if<std::string>(&v); }
  const Plain* AsPlain() const { return std::get_if<Plain>(&v); }
  // The entry of a map, or null.
  const OptionNode* Find(const std::string& key) const;

  std::variant<std::monostate, bool, int64_t, double, std::string, Plain, List, Map> v;
  OptionMark mark;
};

struct OptionNode::Entry {
  std::string key;
  OptionNode value;
  OptionMark mark = {};  // of the key
};

inline OptionNode::OptionNode(Map map) : v(std::move(map)) {}
inline OptionNode::OptionNode(std::initializer_list<Entry> map) : v(Map(map)) {}

inline const OptionNode* OptionNode::Find(const std::string& key) const {
  if (const Map* map = AsMap()) {
    for (const Entry& entry : *map) {
      if (entry.key == key) return &entry.value;
    }
  }
  return nullptr;
}

}  // namespace tributary

#include "distribute/ps/table_spec.h"

#include <algorithm>

namespace tributary::ps {
namespace {

std::string TextOf(const OptionNode& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, bool>) return v ? "true" : "false";
        else if constexpr (std::is_arithmetic_v<T>) return fmt::format("{}", v);
        else if constexpr (std::is_same_v<T, std::string>) return v;
        else if constexpr (std::is_same_v<T, OptionNode::Plain>) return v.text;
        else return "";
      },
      value.v);
}

}  // namespace

NamedOptions Matching(const OptionTable& table, const Options& options) {
  NamedOptions out{table.name, {}};
  const std::vector<std::string> names = options.Names();
  const OptionNode node = options.ToNode();
  for (const std::string& name : table.OptionNames()) {
    const bool there = std::find(names.begin(), names.end(), name) != names.end();
    if (!there || !options.Has(name) || options.IsObject(name)) continue;
    if (const OptionNode* value = node.Find(name)) out.values.emplace_back(name, TextOf(*value));
  }
  return out;
}

}  // namespace tributary::ps

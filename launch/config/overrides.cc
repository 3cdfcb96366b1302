#include "launch/config/overrides.h"

#include "core/base/option_registry.h"
#include "core/base/strings.h"
#include "launch/config/yaml_reader.h"

namespace tributary {
namespace {

struct Segment {
  std::string text;
  OptionMark mark;
};

constexpr size_t kMaxKeys = 30;

// Offset of a bracket without its other half; npos: none.
size_t UnmatchedBracket(std::string_view path) {
  size_t open = std::string_view::npos;
  for (size_t i = 0; i < path.size(); ++i) {
    const bool inside = open != std::string_view::npos;
    if (path[i] == '[' && inside) return open;
    if (path[i] == ']' && !inside) return i;
    if (path[i] == '[') open = i;
    if (path[i] == ']') open = std::string_view::npos;
  }
  return open;
}

// "model[1].Dense.units" -> model, 1, Dense, units.
std::vector<Segment> SplitPath(std::string_view path, int source) {
  std::vector<Segment> segments;
  std::string word;
  int column = 1, start = 1;
  const auto flush = [&](bool allow_empty) {
    if (!word.empty() || allow_empty) segments.push_back({word, {source, 1, start}});
    word.clear();
  };
  char before = '.';
  for (const char c : path) {
    if (c == '.' || c == '[') flush(before != ']');
    else if (c == ']') flush(true);
    else word += c;
    ++column;
    if (c == '.' || c == '[' || c == ']') start = column;
    before = c;
  }
  if (before != ']') flush(true);
  return segments;
}

void ShiftMarks(OptionNode* node, int columns) {
  if (node->mark.line == 1) node->mark.column += columns;
  if (auto* list = std::get_if<OptionNode::List>(&node->v)) {
    for (OptionNode& item : *list) ShiftMarks(&item, columns);
  } else if (auto* map = std::get_if<OptionNode::Map>(&node->v)) {
    for (OptionNode::Entry& entry : *map) {
      if (entry.mark.line == 1) entry.mark.column += columns;
      ShiftMarks(&entry.value, columns);
    }
  }
}

// Descends along a path, with the tables beside it for what may stand where.
class Setter {
 public:
  Setter(std::vector<Segment> path, OptionNode value, std::vector<OptionProblem>* problems)
      : path_(std::move(path)), value_(std::move(value)), problems_(problems) {}

  void InTables(const std::vector<const OptionTable*>& tables, OptionNode* node, size_t i) {
    if (i == path_.size()) return Assign(node);
    const OptionSpec* spec = nullptr;
    for (const OptionTable* table : tables) {
      if (!spec) spec = table->Find(path_[i].text);
    }
    OptionNode* child = Child(node, i);
    if (!child) return;
    if (spec) InSpec(*spec, child, i + 1);
    else InNothing(child, i + 1);
  }

 private:
  void Assign(OptionNode* node) {
    const OptionMark mark = value_.IsNull() ? path_.back().mark : value_.mark;
    *node = value_;
    node->mark = mark;
  }

  void Problem(size_t i, std::string message) {
    problems_->push_back({path_[i].mark, "", std::move(message)});
  }

  // The value of key path_[i], made when absent; null after a problem.
  OptionNode* Child(OptionNode* node, size_t i) {
    if (node->IsNull()) {
      const OptionMark mark = node->mark;
      *node = OptionNode(OptionNode::Map());
      node->mark = mark.source < 0 ? path_[i].mark : mark;
    }
    auto* map = std::get_if<OptionNode::Map>(&node->v);
    if (!map) {
      Problem(i, i == 0 ? "the job is no map"
                        : fmt::format("`{}` is a value, not a block: it holds no '{}'",
                                      path_[i - 1].text, path_[i].text));
      return nullptr;
    }
    for (OptionNode::Entry& entry : *map) {
      if (entry.key != path_[i].text) continue;
      if (i + 1 == path_.size()) entry.mark = path_[i].mark;
      return &entry.value;
    }
    map->push_back({path_[i].text, OptionNode(), path_[i].mark});
    map->back().value.mark = path_[i].mark;
    return &map->back().value;
  }

  void InNothing(OptionNode* node, size_t i) {
    if (i == path_.size()) return Assign(node);
    if (auto* list = std::get_if<OptionNode::List>(&node->v)) {
      if (OptionNode* item = Item(list, i)) InNothing(item, i + 1);
      return;
    }
    if (OptionNode* child = Child(node, i)) InNothing(child, i + 1);
  }

  OptionNode* Item(OptionNode::List* list, size_t i) {
    int64_t index = 0;
    if (!ParseInt(path_[i].text, &index).empty() || index < 0 ||
        index >= static_cast<int64_t>(list->size())) {
      Problem(i, fmt::format("expected an index from 0 to {}, got '{}'",
                             static_cast<int64_t>(list->size()) - 1, path_[i].text));
      return nullptr;
    }
    return &(*list)[index];
  }

  void InSpec(const OptionSpec& spec, OptionNode* node, size_t i) {
    if (i == path_.size()) return Assign(node);
    if (auto* list = std::get_if<OptionNode::List>(&node->v)) {
      OptionNode* item = Item(list, i);
      if (!item) return;
      OptionSpec element = spec;
      element.list = false;
      if (element.type == OptionType::kMap) element.type = OptionType::kObject;
      return InSpec(element, item, i + 1);
    }
    switch (spec.type) {
      case OptionType::kTable: return InTables({spec.table.get()}, node, i);
      case OptionType::kTagged: return InTagged(spec, node, i);
      case OptionType::kMap: return InMap(spec, node, i);
      default:
        if (!spec.kind.empty()) return InThing(spec.kind, node, i);
        return InNothing(node, i);
    }
  }

  void InTagged(const OptionSpec& spec, OptionNode* node, size_t i) {
    NameToMap(node, spec.tag);
    std::vector<const OptionTable*> tables = {spec.table.get()};
    const OptionNode* tag = node->Find(spec.tag);
    const auto* name = tag ? tag->AsPlain() : nullptr;
    const OptionKind* kind = FindOptionKind(spec.kind);
    if (const OptionTable* own = name && kind ? kind->FindTable(name->text) : nullptr) {
      tables.push_back(own);
    }
    InTables(tables, node, i);
  }

  void InMap(const OptionSpec& spec, OptionNode* node, size_t i) {
    OptionNode* child = Child(node, i);
    if (!child || i + 1 == path_.size()) {
      if (child) Assign(child);
      return;
    }
    if (const OptionSpec* extra = spec.table->Find(path_[i + 1].text)) {
      NameToMap(child, "");
      if (OptionNode* value = Child(child, i + 1)) InSpec(*extra, value, i + 2);
      return;
    }
    InThing(spec.kind, child, i + 1);
  }

  // `Adam` -> {Adam: null}, or {tag: Adam}.
  static void NameToMap(OptionNode* node, const std::string& tag) {
    const auto* plain = node->AsPlain();
    const std::string* text = plain ? &plain->text : node->AsString();
    if (!text) return;
    const OptionMark mark = node->mark;
    OptionNode map(tag.empty() ? OptionNode::Map{{*text, OptionNode(), mark}}
                               : OptionNode::Map{{tag, *node, mark}});
    *node = std::move(map);
    node->mark = mark;
  }

  // At path_[i] stands the name of a thing, or already one of its options.
  void InThing(const std::string& kind_name, OptionNode* node, size_t i) {
    const OptionKind* kind = FindOptionKind(kind_name);
    const OptionTable* named = kind ? kind->FindTable(path_[i].text) : nullptr;
    NameToMap(node, "");
    auto* map = std::get_if<OptionNode::Map>(&node->v);
    OptionNode::Entry* present = nullptr;
    for (OptionNode::Entry& entry : map ? *map : no_entries_) {
      const OptionTable* table = kind ? kind->FindTable(entry.key) : nullptr;
      if (!table) continue;
      if (table == named) return InTables({named}, &entry.value, i + 1);
      present = &entry;
      if (!named) return InTables({table}, &entry.value, i);
    }
    if (!named) {
      if (OptionNode* child = Child(node, i)) InNothing(child, i + 1);
      return;
    }
    if (present) {
      *present = {path_[i].text, OptionNode(), path_[i].mark};
      node->mark = path_[i].mark;
    } else if (map) {
      map->push_back({path_[i].text, OptionNode(), path_[i].mark});
    } else {
      *node = OptionNode(OptionNode::Map{{path_[i].text, OptionNode(), path_[i].mark}});
      node->mark = path_[i].mark;
    }
    InThing(kind_name, node, i);
  }

  std::vector<Segment> path_;
  OptionNode value_;
  std::vector<OptionProblem>* problems_;
  OptionNode::Map no_entries_;
};

}  // namespace

void ApplyOverride(const std::string& assignment, int source, const OptionTable& table,
                   OptionNode* root, std::vector<OptionProblem>* problems) {
  const OptionMark start{source, 1, 1};
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    problems->push_back({start, "", "expected `key.key=value`"});
    return;
  }
  if (FirstBadByte(assignment) != std::string::npos) {
    problems->push_back({start, "", "it is no UTF-8 text"});
    return;
  }
  if (const size_t at = UnmatchedBracket(assignment.substr(0, equals)); at != std::string::npos) {
    problems->push_back({{source, 1, static_cast<int>(at) + 1}, "",
                         "expected `key[index]=value`; this bracket stands alone"});
    return;
  }
  const std::vector<Segment> path = SplitPath(assignment.substr(0, equals), source);
  if (path.size() > kMaxKeys) {
    problems->push_back({path[kMaxKeys].mark, "",
                         fmt::format("more than {} keys deep: nothing in a job is", kMaxKeys)});
    return;
  }
  for (const Segment& segment : path) {
    if (Trim(segment.text).empty()) {
      problems->push_back({segment.mark, "", "expected `key.key=value`; a key is empty"});
      return;
    }
  }
  const size_t before = problems->size();
  OptionNode value = ReadYaml(assignment.substr(equals + 1), source, problems);
  const int shift = static_cast<int>(equals) + 1;
  for (size_t i = before; i < problems->size(); ++i) (*problems)[i].mark.column += shift;
  if (problems->size() > before) return;
  ShiftMarks(&value, shift);
  Setter(path, std::move(value), problems).InTables({&table}, root, 0);
}

}  // namespace tributary

#include "core/base/option_check.h"

#include "core/base/option_registry.h"
#include "core/base/strings.h"

namespace tributary {
namespace {

using Value = Options::Value;
using internal::Article;
using internal::DescribeElement;
using internal::KindWord;

std::string Quoted(const std::string& text) {
  constexpr size_t kShown = 60;
  std::string shown;
  for (const char c : text.substr(0, kShown)) {
    shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  return "'" + shown + (text.size() > kShown ? "...'" : "'");
}

std::string Got(const OptionNode& node) {
  struct {
    std::string operator()(std::monostate) { return "nothing"; }
    std::string operator()(bool b) { return b ? "true" : "false"; }
    std::string operator()(int64_t i) { return fmt::format("{}", i); }
    std::string operator()(double d) { return fmt::format("{}", d); }
    std::string operator()(const std::string& s) { return "the text " + Quoted(s); }
    std::string operator()(const OptionNode::Plain& p) { return Quoted(p.text); }
    std::string operator()(const OptionNode::List& l) {
      return l.empty() ? "an empty list" : "a list";
    }
    std::string operator()(const OptionNode::Map& m) {
      return m.empty() ? "an empty map" : "a map";
    }
  } describe;
  return std::visit(describe, node.v);
}

// The text of an unquoted or quoted scalar.
const std::string* Text(const OptionNode& node) {
  if (const auto* plain = node.AsPlain()) return &plain->text;
  return node.AsString();
}

bool InRange(const OptionSpec& spec, double v) {
  if (spec.min && (spec.min_open ? v <= *spec.min : v < *spec.min)) return false;
  if (spec.max && (spec.max_open ? v >= *spec.max : v > *spec.max)) return false;
  return true;
}

// Walks nodes and tables together.
class Checker {
 public:
  Checker(const OptionCheckContext& context, std::vector<OptionProblem>* problems)
      : context_(context), problems_(problems) {}

  Options Block(const OptionTable& table, const OptionNode& node,
                const std::string& path, const OptionMark& mark) {
    const std::vector<const OptionTable*> tables = {&table};
    auto data = std::make_shared<Options::Data>();
    data->name = table.name;
    if (const OptionNode::Map* map = MapOrNothing(node, path, mark, table.name)) {
      Fill(tables, *map, path, mark, {}, data.get());
    }
    return Options(std::move(data));
  }

 private:
  static constexpr int kMaxDepth = 64;

  void Problem(const OptionMark& mark, const std::string& path, std::string message,
               bool missing_file = false) {
    problems_->push_back({mark, path, std::move(message), missing_file});
  }
  void Expected(const OptionNode& node, const std::string& path, const std::string& what) {
    Problem(node.mark, path, fmt::format("expected {}, got {}", what, Got(node)));
  }
  std::string Origin(const OptionMark& mark) const {
    return mark.source < 0 || !context_.origin ? "code" : context_.origin(mark);
  }
  static std::string Below(const std::string& path, const std::string& name) {
    return path.empty() ? name : path + "." + name;
  }

  const OptionNode::Map* MapOrNothing(const OptionNode& node, const std::string& path,
                                      const OptionMark& mark, const std::string& name) {
    static const OptionNode::Map empty;
    if (node.IsNull()) return &empty;
    if (const OptionNode::Map* map = node.AsMap()) return map;
    Problem(node.mark.line ? node.mark : mark, path,
            fmt::format("expected {}`key: value`, got {}",
                        name.empty() ? "" : "the options of `" + name + "` as ", Got(node)));
    return nullptr;
  }

  static const OptionSpec* FindSpec(const std::vector<const OptionTable*>& tables,
                                    const std::string& key) {
    for (const OptionTable* table : tables) {
      if (const OptionSpec* spec = table->Find(key)) return spec;
    }
    return nullptr;
  }

  // Returns the option that was meant perhaps, or "".
  std::string UnknownKey(const std::vector<const OptionTable*>& tables,
                         const OptionNode::Entry& entry, const std::string& path,
                         const std::string& tag) {
    std::vector<std::string> known;
    if (!tag.empty()) known.push_back(tag);
    for (const OptionTable* table : tables) {
      for (const std::string& name : table->OptionNames()) known.push_back(name);
    }
    // Two letters off is far for a word of three.
    const std::string near = NearestName(entry.key, known, entry.key.size() < 4 ? 1 : 2);
    std::string help = near.empty() ? "" : "; did you mean '" + near + "'?";
    if (help.empty() && context_.hint) {
      help = context_.hint(path, entry.key, known);
      if (!help.empty()) help = "; " + help;
    }
    if (help.empty()) {
      help = known.empty() ? "; it takes none" : "; known here: " + Join(known, ", ");
    }
    const std::string& name = tables.front()->name;
    Problem(entry.mark, Below(path, entry.key),
            fmt::format("unknown key {}{}{}", Quoted(entry.key),
                        name.empty() ? "" : " in `" + name + "`", help));
    return near;
  }

  // Every option of `tables` from `map`, whose key `tag` is already dealt with.
  // Options of tables after the first are marked as the block's own (extra).
  void Fill(const std::vector<const OptionTable*>& tables, const OptionNode::Map& map,
            const std::string& path, const OptionMark& mark, const std::string& tag,
            Options::Data* data) {
    std::map<std::string, const OptionNode::Entry*> given;
    std::vector<std::string> misspelt;
    for (const OptionNode::Entry& entry : map) {
      if (!tag.empty() && entry.key == tag) continue;
      if (!FindSpec(tables, entry.key)) {
        misspelt.push_back(UnknownKey(tables, entry, path, tag));
      } else if (!given.emplace(entry.key, &entry).second) {
        Problem(entry.mark, Below(path, entry.key), "this key is given twice");
      }
    }
    for (size_t t = 0; t < tables.size(); ++t) {
      for (const OptionSpec& spec : tables[t]->options) {
        const auto it = given.find(spec.name);
        // Not missing: it is there under a wrong name, which is reported.
        if (it == given.end() && std::count(misspelt.begin(), misspelt.end(), spec.name)) {
          continue;
        }
        Options::Data::Entry out;
        out.name = spec.name;
        out.extra = t > 0;
        const OptionNode* node = it == given.end() ? nullptr : &it->second->value;
        FillOne(spec, node, it == given.end() ? mark : it->second->mark, path,
                tables.front()->name, &out);
        data->entries.push_back(std::move(out));
      }
    }
  }

  void FillOne(const OptionSpec& spec, const OptionNode* node, const OptionMark& mark,
               const std::string& path, const std::string& table,
               Options::Data::Entry* out) {
    const std::string below = Below(path, spec.name);
    if (node && !node->IsNull()) {
      out->origin = Origin(node->mark);
      out->value = Element(spec, *node, below, &out->keys);
      return;
    }
    out->origin = "default";
    if (spec.required) {
      const bool empty = node != nullptr;
      Problem(mark, below,
              fmt::format("{}`{}`{} {}: {}{}", empty ? "" : "the key ", spec.name,
                          table.empty() ? "" : " of `" + table + "`",
                          empty ? "has no value" : "is missing", DescribeOption(spec),
                          spec.doc.empty() ? "" : " (" + spec.doc + ")"));
    } else if (!spec.default_value.IsNull()) {
      out->value = Element(spec, spec.default_value, below, &out->keys);
    } else if (spec.type == OptionType::kTable && !spec.list) {
      out->value.v = Block(*spec.table, OptionNode(), below, mark);
    }
  }

  // A whole option: the list, or its one element.
  Value Element(const OptionSpec& spec, const OptionNode& node, const std::string& path,
                std::vector<std::string>* keys) {
    if (!spec.list) return One(spec, node, path, keys);
    const OptionNode::List* list = node.AsList();
    if (!list && spec.broadcast) {
      return {Value::List(spec.min_length, One(spec, node, path, keys))};
    }
    if (!list) {
      const std::string* text = Text(node);
      Problem(node.mark, path,
              fmt::format("expected {}, got {}{}", DescribeOption(spec), Got(node),
                          text && text->size() < 40 ? "; write [" + *text + "]" : ""));
      return {};
    }
    const int size = static_cast<int>(std::min<size_t>(list->size(), 1u << 30));
    if (size < spec.min_length || size > spec.max_length) {
      Problem(node.mark, path,
              fmt::format("expected {}, got {} elements", DescribeOption(spec), size));
      return {};
    }
    Value::List values;
    for (size_t i = 0; i < list->size(); ++i) {
      values.push_back(One(spec, (*list)[i], fmt::format("{}[{}]", path, i), nullptr));
    }
    return {std::move(values)};
  }

  Value One(const OptionSpec& spec, const OptionNode& node, const std::string& path,
            std::vector<std::string>* keys) {
    if (++depth_ > kMaxDepth) {
      Problem(node.mark, path, "nested too deeply");
      --depth_;
      return {};
    }
    const size_t before = problems_->size();
    Value value = Typed(spec, node, path, keys);
    --depth_;
    if (spec.check && problems_->size() == before) {
      const std::string wrong = spec.check(node);
      if (!wrong.empty()) {
        Problem(node.mark, path, fmt::format("{}, got {}", wrong, Got(node)));
      }
    }
    return value;
  }

  Value Typed(const OptionSpec& spec, const OptionNode& node, const std::string& path,
              std::vector<std::string>* keys) {
    const std::string* text = Text(node);
    if (spec.type != OptionType::kString && text) {
      for (const std::string& word : spec.words) {
        if (*text == word) return {word};
      }
    }
    switch (spec.type) {
      case OptionType::kInt: return Int(spec, node, path);
      case OptionType::kFloat: return Float(spec, node, path);
      case OptionType::kBool: return Bool(spec, node, path);
      case OptionType::kString: return Word(spec, node, path);
      case OptionType::kPath: return Path(spec, node, path);
      case OptionType::kInterval: return Every(spec, node, path);
      case OptionType::kObject: return Object(spec, node, path);
      case OptionType::kTable: return {Block(*spec.table, node, path, node.mark)};
      case OptionType::kTagged: return TaggedBlock(spec, node, path);
      case OptionType::kMap: return Map(spec, node, path, keys);
      case OptionType::kAny: return {node};
    }
    return {};
  }

  // "quoted" when a scalar of the right form was put in quotes.
  static std::string QuoteHint(const OptionNode& node, bool would_do) {
    return node.AsString() && would_do ? "; remove the quotes" : "";
  }

  bool TryObject(const OptionSpec& spec, const OptionNode& node, const std::string& path,
                 Value* value) {
    if (spec.kind.empty() || (!node.AsMap() && !Text(node))) return false;
    if (const std::string* text = Text(node)) {
      const OptionKind* kind = FindOptionKind(spec.kind);
      if (!kind || !kind->FindTable(*text)) return false;
    }
    *value = Object(spec, node, path);
    return true;
  }

  Value Int(const OptionSpec& spec, const OptionNode& node, const std::string& path) {
    int64_t value = 0;
    if (const auto* i = std::get_if<int64_t>(&node.v)) {
      value = *i;
    } else {
      const std::string* text = Text(node);
      const std::string wrong = text ? ParseInt(*text, &value) : "?";
      if (!node.AsPlain() || !wrong.empty()) {
        Value object;
        if (TryObject(spec, node, path, &object)) return object;
        Problem(node.mark, path,
                fmt::format("expected {}, got {}{}{}", DescribeElement(spec), Got(node),
                            QuoteHint(node, wrong.empty()),
                            wrong.size() > 1 ? "; " + wrong : ""));
        return {};
      }
    }
    if (!InRange(spec, static_cast<double>(value))) {
      Expected(node, path, DescribeElement(spec));
    }
    return {value};
  }

  Value Float(const OptionSpec& spec, const OptionNode& node, const std::string& path) {
    double value = 0;
    if (const auto* i = std::get_if<int64_t>(&node.v)) {
      value = static_cast<double>(*i);
    } else if (const auto* d = std::get_if<double>(&node.v)) {
      value = *d;
    } else {
      const std::string* text = Text(node);
      const std::string wrong = text ? ParseFloat(*text, &value) : "?";
      if (!node.AsPlain() || !wrong.empty()) {
        Value object;
        if (TryObject(spec, node, path, &object)) return object;
        Problem(node.mark, path,
                fmt::format("expected {}, got {}{}{}", DescribeElement(spec), Got(node),
                            QuoteHint(node, wrong.empty()),
                            wrong.size() > 1 ? "; " + wrong : ""));
        return {};
      }
    }
    if (std::isnan(value) || (std::isinf(value) && !spec.infinity) ||
        !InRange(spec, value)) {
      Expected(node, path, DescribeElement(spec) + (std::isfinite(value) ? "" : ", finite"));
    }
    return {value};
  }

  Value Bool(const OptionSpec& spec, const OptionNode& node, const std::string& path) {
    if (const auto* b = std::get_if<bool>(&node.v)) return {*b};
    const std::string* text = Text(node);
    const bool yes = text && *text == "true", no = text && *text == "false";
    if (node.AsPlain() && (yes || no)) return {yes};
    Value object;
    if (TryObject(spec, node, path, &object)) return object;
    std::string hint = QuoteHint(node, yes || no);
    if (node.AsPlain()) {
      const std::string lower = ToLower(*text);
      if (lower == "yes" || lower == "on" || lower == "true" || lower == "y") {
        hint = "; write true";
      } else if (lower == "no" || lower == "off" || lower == "false" || lower == "n") {
        hint = "; write false";
      }
    }
    Problem(node.mark, path,
            fmt::format("expected {}, got {}{}", DescribeElement(spec), Got(node), hint));
    return {};
  }

  Value Word(const OptionSpec& spec, const OptionNode& node, const std::string& path) {
    const std::string* text = Text(node);
    if (!text) {
      Value object;
      if (TryObject(spec, node, path, &object)) return object;
      Expected(node, path, DescribeElement(spec));
      return {};
    }
    if (text->find('\0') != std::string::npos) {
      Problem(node.mark, path, "a text must not hold a zero byte");
      return {};
    }
    if (!spec.words.empty() &&
        std::find(spec.words.begin(), spec.words.end(), *text) == spec.words.end()) {
      Value object;
      if (TryObject(spec, node, path, &object)) return object;
      Problem(node.mark, path,
              fmt::format("expected {}, got {}{}", DescribeElement(spec), Got(node),
                          DidYouMean(*text, spec.words)));
      return {};
    }
    return {*text};
  }

  Value Path(const OptionSpec& spec, const OptionNode& node, const std::string& path) {
    const std::string* text = Text(node);
    if (!text || text->empty() || text->find('\0') != std::string::npos) {
      Expected(node, path, DescribeElement(spec));
      return {};
    }
    if (!context_.find_path) return {*text};
    std::string error;
    std::string found = context_.find_path(*text, &error);
    if (!error.empty()) Problem(node.mark, path, error, /*missing_file=*/true);
    return {std::move(found)};
  }

  Value Every(const OptionSpec& spec, const OptionNode& node, const std::string& path) {
    std::string text;
    if (const std::string* t = Text(node)) text = *t;
    if (const auto* i = std::get_if<int64_t>(&node.v)) text = fmt::format("{}", *i);
    try {
      return {Interval::Parse(text)};
    } catch (const InvalidArgumentError&) {
      Expected(node, path, DescribeElement(spec));
      return {};
    }
  }

  // The table of the thing called `name`, or null after a problem.
  const OptionTable* Thing(const std::string& kind_name, const OptionMark& mark,
                           const std::string& name, const std::string& path,
                           const std::vector<std::string>& words = {}) {
    const OptionKind* kind = FindOptionKind(kind_name);
    if (const OptionTable* table = kind ? kind->FindTable(name) : nullptr) return table;
    std::vector<std::string> near = words, known = words;
    if (kind) {
      for (const OptionTable* table : kind->Tables()) {
        known.push_back(table->name);
        near.push_back(table->name);
        near.insert(near.end(), table->aliases.begin(), table->aliases.end());
      }
    }
    Problem(mark, path,
            fmt::format("there is no {} {}{} (known: {})", KindWord(kind_name),
                        Quoted(name), DidYouMean(name, near),
                        known.empty() ? "none" : Join(known, ", ")));
    return nullptr;
  }

  Value MakeThing(const OptionTable& table, const OptionNode& values,
                  const std::string& path, const OptionMark& mark) {
    auto data = std::make_shared<Options::Data>();
    data->name = table.name;
    data->is_thing = true;
    if (const OptionNode::Map* map = MapOrNothing(values, path, mark, table.name)) {
      Fill({&table}, *map, path, mark, {}, data.get());
    }
    return {Options(std::move(data))};
  }

  Value Object(const OptionSpec& spec, const OptionNode& node, const std::string& path) {
    if (const std::string* text = Text(node)) {
      const OptionTable* table = Thing(spec.kind, node.mark, *text, path, spec.words);
      return table ? MakeThing(*table, {}, Below(path, *text), node.mark) : Value{};
    }
    const OptionNode::Map* map = node.AsMap();
    if (!map) {
      Expected(node, path, DescribeElement(spec));
      return {};
    }
    if (map->size() != 1) {
      NotOneThing(spec, node, *map, path);
      return {};
    }
    const OptionNode::Entry& entry = map->front();
    const OptionTable* table = Thing(spec.kind, entry.mark, entry.key, path);
    if (!table) return {};
    return MakeThing(*table, entry.value, Below(path, entry.key), entry.mark);
  }

  // `- Dense:` followed by `units: 3` at the same column is the usual cause.
  void NotOneThing(const OptionSpec& spec, const OptionNode& node,
                   const OptionNode::Map& map, const std::string& path) {
    const OptionKind* kind = FindOptionKind(spec.kind);
    for (const OptionNode::Entry& entry : map) {
      if (entry.value.IsNull() && kind && kind->FindTable(entry.key)) {
        Problem(entry.mark, path,
                fmt::format("the options of `{}` stand beside it, not under it; indent "
                            "them, or write {}: {{...}}",
                            entry.key, entry.key));
        return;
      }
    }
    std::vector<std::string> keys;
    for (const OptionNode::Entry& entry : map) keys.push_back(entry.key);
    if (keys.size() > 6) keys.resize(6);
    Problem(node.mark, path,
            fmt::format("expected {} as one `Name: {{options}}`, got {}{}",
                        Article(KindWord(spec.kind)), map.empty() ? "an empty map" : "the keys ",
                        Join(keys, ", ")));
  }

  Value TaggedBlock(const OptionSpec& spec, const OptionNode& node,
                    const std::string& path) {
    const OptionNode::Map* map = node.AsMap();
    if (!map) {
      // A bare word is the thing with every option at its default.
      if (const std::string* text = Text(node)) {
        OptionNode block(OptionNode::Map{{spec.tag, node, node.mark}});
        block.mark = node.mark;
        return Thing(spec.kind, node.mark, *text, path)
                   ? TaggedBlock(spec, block, path) : Value{};
      }
      Expected(node, path, DescribeElement(spec));
      return {};
    }
    const OptionNode* tag = node.Find(spec.tag);
    const std::string* name = tag ? Text(*tag) : nullptr;
    if (!name) {
      if (tag) Expected(*tag, Below(path, spec.tag), "the name of " + Article(KindWord(spec.kind)));
      else Problem(node.mark, path, fmt::format("the key `{}` is missing: it names {}", spec.tag,
                                                Article(KindWord(spec.kind))));
      return {};
    }
    const OptionTable* table =
        Thing(spec.kind, tag->mark, *name, Below(path, spec.tag));
    if (!table) {
      CommonOnly(spec, *map, path, node.mark);
      return {};
    }
    auto data = std::make_shared<Options::Data>();
    data->name = table->name;
    data->tag = spec.tag;
    data->is_thing = true;
    Fill({table, spec.table.get()}, *map, path, node.mark, spec.tag, data.get());
    return {Options(std::move(data))};
  }

  // Of a block whose thing is unknown: what can be said without it.
  void CommonOnly(const OptionSpec& spec, const OptionNode::Map& map,
                  const std::string& path, const OptionMark& mark) {
    OptionNode::Map common;
    for (const OptionNode::Entry& entry : map) {
      if (spec.table->Find(entry.key)) common.push_back(entry);
    }
    Options::Data unused;
    Fill({spec.table.get()}, common, path, mark, {}, &unused);
  }

  Value Map(const OptionSpec& spec, const OptionNode& node, const std::string& path,
            std::vector<std::string>* keys) {
    Value::List values;
    if (const OptionNode::List* list = node.AsList(); list && spec.or_list) {
      for (size_t i = 0; i < list->size(); ++i) {
        values.push_back(Object(spec, (*list)[i], fmt::format("{}[{}]", path, i)));
      }
      if (list->empty()) Expected(node, path, DescribeElement(spec));
      return {std::move(values)};
    }
    const OptionNode::Map* map = node.AsMap();
    if (!map || map->empty()) {
      Expected(node, path, DescribeElement(spec));
      return {};
    }
    for (const OptionNode::Entry& entry : *map) {
      values.push_back(MapElement(spec, entry, Below(path, entry.key)));
      if (keys) keys->push_back(entry.key);
    }
    return {std::move(values)};
  }

  // {Dense: {units: 3}, inputs: [x]}: one thing, and options of the block.
  Value MapElement(const OptionSpec& spec, const OptionNode::Entry& entry,
                   const std::string& path) {
    const OptionNode::Map* map = entry.value.AsMap();
    const OptionKind* kind = FindOptionKind(spec.kind);
    OptionNode::Map thing, extras, others;
    for (const OptionNode::Entry& e : map ? *map : OptionNode::Map()) {
      // `input` is a layer in snake case, and still `inputs` was meant beside one.
      const bool near_extra =
          map->size() > 1 && !NearestName(e.key, spec.table->OptionNames(), 1).empty();
      if (spec.table->Find(e.key)) extras.push_back(e);
      else (kind && kind->FindTable(e.key) && !near_extra ? thing : others).push_back(e);
    }
    if (thing.empty()) thing.swap(others);
    for (const OptionNode::Entry& e : others) UnknownKey({spec.table.get()}, e, path, "");
    OptionNode named = map ? OptionNode(thing) : entry.value;
    named.mark = entry.value.IsNull() ? entry.mark : entry.value.mark;
    Value value = Object(spec, named, path);
    const Options* object = std::get_if<Options>(&value.v);
    auto data = std::make_shared<Options::Data>();
    if (object) *data = object->data();
    Options::Data extra;
    Fill({spec.table.get()}, extras, path, entry.mark, {}, &extra);
    for (Options::Data::Entry& e : extra.entries) {
      e.extra = true;
      data->entries.push_back(std::move(e));
    }
    return {Options(std::move(data))};
  }

  const OptionCheckContext& context_;
  std::vector<OptionProblem>* problems_;
  int depth_ = 0;
};

}  // namespace

Options CheckOptions(const OptionTable& table, const OptionNode& values,
                     const std::string& path, const OptionMark& mark,
                     const OptionCheckContext& context,
                     std::vector<OptionProblem>* problems) {
  return Checker(context, problems).Block(table, values, path, mark);
}

}  // namespace tributary

#include "launch/config/yaml_writer.h"

#include <nlohmann/json.hpp>

#include "core/base/strings.h"

namespace tributary {
namespace {

// Whether text may stand without quotes and stays a text.
bool PlainText(const std::string& text) {
  static const char* const kReserved[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
  if (text.empty() || !(std::isalpha(static_cast<unsigned char>(text[0])) || text[0] == '_')) {
    return false;
  }
  for (const char* word : kReserved) {
    if (ToLower(text) == word) return false;
  }
  return std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.' || c == '/';
  });
}

std::string TextScalar(const std::string& text) {
  return PlainText(text) ? text : nlohmann::json(text).dump();
}

std::string Number(double value) {
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  if (std::isnan(value)) return ".nan";
  std::string text = fmt::format("{}", value);  // shortest that reads back
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string Scalar(const OptionNode& node) {
  struct {
    std::string operator()(std::monostate) { return "null"; }
    std::string operator()(bool b) { return b ? "true" : "false"; }
    std::string operator()(int64_t i) { return fmt::format("{}", i); }
    std::string operator()(double d) { return Number(d); }
    std::string operator()(const std::string& s) { return TextScalar(s); }
    std::string operator()(const OptionNode::Plain& p) { return p.text; }
    std::string operator()(const OptionNode::List& list) {
      std::vector<std::string> parts;
      for (const OptionNode& item : list) parts.push_back(Scalar(item));
      return "[" + Join(parts, ", ") + "]";
    }
    std::string operator()(const OptionNode::Map& map) {
      std::vector<std::string> parts;
      for (const auto& e : map) parts.push_back(TextScalar(e.key) + ": " + Scalar(e.value));
      return "{" + Join(parts, ", ") + "}";
    }
  } write;
  return std::visit(write, node.v);
}

class Writer {
 public:
  explicit Writer(bool origins) : origins_(origins) {}
  std::string Take() {
    size_t width = 0;
    for (const auto& [line, origin] : lines_) width = std::max(width, line.size());
    width = std::min<size_t>(width, 60);
    std::string text;
    for (const auto& [line, origin] : lines_) {
      text += line;
      if (origins_ && !origin.empty()) {
        text += fmt::format("{:{}}  # {}", "", line.size() < width ? width - line.size() : 0, origin);
      }
      text += "\n";
    }
    return text;
  }

  void Block(const Options& options, int indent) {
    for (const Options::Data::Entry& entry : options.data().entries) {
      if (entry.extra || !options.Has(entry.name)) continue;
      Entry(entry, indent);
    }
  }

 private:
  using Value = Options::Value;

  void Line(int indent, const std::string& text, const std::string& origin = "") {
    std::string dash;
    std::swap(dash, dash_);
    const int at = indent - static_cast<int>(dash.size());
    lines_.emplace_back(std::string(std::max(at, 0), ' ') + dash + text, origin);
  }

  void Entry(const Options::Data::Entry& entry, int indent) {
    Keyed(entry.name, entry.value, entry.origin, entry.keys, indent);
  }

  void Keyed(const std::string& key, const Value& value, const std::string& origin,
             const std::vector<std::string>& keys, int indent) {
    const std::string name = TextScalar(key) + ":";
    if (const auto* options = std::get_if<Options>(&value.v)) {
      if (IsBareThing(*options)) return Line(indent, name + " " + options->name(), origin);
      Line(indent, name, options->data().is_thing ? origin : "");
      return Thing(*options, indent + 2);
    }
    const auto* list = std::get_if<Value::List>(&value.v);
    if (!list || list->empty() || !std::holds_alternative<Options>(list->front().v)) {
      return Line(indent, name + " " + Scalar(ScalarNode(value)), origin);
    }
    Line(indent, name, origin);
    for (size_t i = 0; i < list->size(); ++i) {
      if (!keys.empty()) {
        Keyed(keys[i], (*list)[i], "", {}, indent + 2);
        continue;
      }
      dash_ = "- ";
      Thing(std::get<Options>((*list)[i].v), indent + 4);
    }
  }

  static bool IsBareThing(const Options& options) {
    return options.data().is_thing && options.data().tag.empty() && options.data().entries.empty();
  }

  void Thing(const Options& options, int indent) {
    const Options::Data& data = options.data();
    if (!data.is_thing) return Block(options, indent);
    if (!data.tag.empty()) {
      Line(indent, data.tag + ": " + data.name);
      Block(options, indent);
    } else if (IsBareThing(options)) {
      Line(indent, data.name);
    } else {
      bool any = false;
      for (const auto& entry : data.entries) any |= !entry.extra && options.Has(entry.name);
      Line(indent, data.name + (any ? ":" : ": {}"));
      Block(options, indent + 2);
    }
    for (const Options::Data::Entry& entry : data.entries) {
      if (entry.extra && options.Has(entry.name)) Entry(entry, indent);
    }
  }

  static OptionNode ScalarNode(const Value& value) {
    struct {
      OptionNode operator()(std::monostate) { return {}; }
      OptionNode operator()(const Interval& i) { return i.ToString(); }
      OptionNode operator()(const Options& o) { return o.ToNode(); }
      OptionNode operator()(const OptionNode& node) { return node; }
      OptionNode operator()(const Value::List& list) {
        OptionNode::List items;
        for (const Value& item : list) items.push_back(ScalarNode(item));
        return OptionNode(std::move(items));
      }
      OptionNode operator()(bool b) { return b; }
      OptionNode operator()(int64_t i) { return i; }
      OptionNode operator()(double d) { return d; }
      OptionNode operator()(const std::string& s) { return s; }
    } convert;
    return std::visit(convert, value.v);
  }

  bool origins_;
  std::string dash_;
  std::vector<std::pair<std::string, std::string>> lines_;
};

}  // namespace

std::string WriteYaml(const Options& options, bool origins) {
  Writer writer(origins);
  writer.Block(options, 0);
  return writer.Take();
}

}  // namespace tributary

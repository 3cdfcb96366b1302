#include "core/base/options.h"

#include <nlohmann/json.hpp>

#include "core/base/option_check.h"
#include "core/base/strings.h"

namespace tributary {

// --- Interval ---------------------------------------------------------------

std::string Interval::ToString() const {
  if (never()) return "never";
  switch (unit) {
    case Unit::kSteps: return fmt::format("{} step{}", count, count == 1 ? "" : "s");
    case Unit::kEpochs: return fmt::format("{} epoch{}", count, count == 1 ? "" : "s");
    case Unit::kSeconds: return fmt::format("{} s", count);
  }
  return "";
}

Interval Interval::Parse(const std::string& text) {
  static constexpr const char* kForms =
      "never, a number of steps, or a number with steps, epochs, s, min or h";
  const std::string_view trimmed = Trim(text);
  if (trimmed == "never") return {};
  size_t digits = 0;
  while (digits < trimmed.size() &&
         (std::isdigit(static_cast<unsigned char>(trimmed[digits])) ||
          trimmed[digits] == '.')) {
    ++digits;
  }
  const std::string unit(Trim(trimmed.substr(digits)));
  double number = 0;
  const std::string wrong = ParseFloat(std::string(trimmed.substr(0, digits)), &number);
  struct Known { const char* name; Unit unit; double factor; };
  static constexpr Known kUnits[] = {
      {"", Unit::kSteps, 1},       {"step", Unit::kSteps, 1},
      {"steps", Unit::kSteps, 1},  {"epoch", Unit::kEpochs, 1},
      {"epochs", Unit::kEpochs, 1}, {"s", Unit::kSeconds, 1},
      {"sec", Unit::kSeconds, 1},  {"seconds", Unit::kSeconds, 1},
      {"min", Unit::kSeconds, 60}, {"minutes", Unit::kSeconds, 60},
      {"h", Unit::kSeconds, 3600}, {"hours", Unit::kSeconds, 3600}};
  for (const Known& known : kUnits) {
    if (unit != known.name || !wrong.empty() || digits == 0) continue;
    const bool whole = number == static_cast<double>(static_cast<int64_t>(
                                     std::min(number, 9e15)));
    if (known.unit != Unit::kSeconds && (!whole || number < 1)) break;
    if (number <= 0 || number > 9e15) break;
    return {number * known.factor, known.unit};
  }
  throw InvalidArgumentError("expected {}, got '{}'", kForms, text);
}

// --- OptionSpec -------------------------------------------------------------

OptionSpec&& OptionSpec::OneOf(std::vector<std::string> v) && {
  words = std::move(v);
  return Type(OptionType::kString);
}
OptionSpec&& OptionSpec::Of(std::string k) && {
  kind = std::move(k);
  return Type(OptionType::kObject);
}
OptionSpec&& OptionSpec::OrOf(std::string k) && {
  kind = std::move(k);
  return std::move(*this);
}
OptionSpec&& OptionSpec::Also(std::vector<std::string> v) && {
  words = std::move(v);
  return std::move(*this);
}
OptionSpec&& OptionSpec::Block(OptionTable t) && {
  table = std::make_shared<const OptionTable>(std::move(t));
  return Type(OptionType::kTable);
}
OptionSpec&& OptionSpec::Tagged(std::string t, std::string k, OptionTable common) && {
  tag = std::move(t);
  kind = std::move(k);
  table = std::make_shared<const OptionTable>(std::move(common));
  return Type(OptionType::kTagged);
}
OptionSpec&& OptionSpec::MapOf(std::string k, OptionTable extras) && {
  kind = std::move(k);
  table = std::make_shared<const OptionTable>(std::move(extras));
  return Type(OptionType::kMap);
}
OptionSpec&& OptionSpec::List(int length) && {
  broadcast = true;
  return std::move(*this).List(length, length);
}
OptionSpec&& OptionSpec::List(int min_len, int max_len) && {
  list = true;
  // `mean: 0.5` where [0.5] would do.
  broadcast |= min_len == 1 && (type == OptionType::kInt || type == OptionType::kFloat);
  min_length = min_len;
  max_length = max_len;
  return std::move(*this);
}

const OptionSpec* OptionTable::Find(const std::string& option) const {
  for (const OptionSpec& spec : options) {
    if (spec.name == option) return &spec;
  }
  return nullptr;
}

std::vector<std::string> OptionTable::OptionNames() const {
  std::vector<std::string> names;
  for (const OptionSpec& spec : options) names.push_back(spec.name);
  return names;
}

// --- Options ----------------------------------------------------------------

Options::Options() {
  static const auto empty = std::make_shared<const Data>();
  data_ = empty;
}

const std::string& Options::name() const { return data_->name; }

namespace {

const Options::Data::Entry* FindEntry(const Options& options, const std::string& name) {
  for (const Options::Data::Entry& entry : options.data().entries) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

[[noreturn]] void WrongRead(const Options& options, const std::string& name,
                            const char* type) {
  throw InternalError("[options] '{}' of '{}' is read as {}, which it is not", name,
                      options.name(), type);
}

template <typename T>
const T& As(const Options& options, const std::string& name, const Options::Value& value,
            const char* type) {
  if (const T* t = std::get_if<T>(&value.v)) return *t;
  WrongRead(options, name, type);
}

double AsFloat(const Options& options, const std::string& name,
               const Options::Value& value) {
  if (const auto* i = std::get_if<int64_t>(&value.v)) return static_cast<double>(*i);
  return As<double>(options, name, value, "a number");
}

}  // namespace

const Options::Value& Options::Find(const std::string& option) const {
  if (const Data::Entry* entry = FindEntry(*this, option)) return entry->value;
  throw InternalError("[options] '{}' has no option '{}'", name(), option);
}

bool Options::Has(const std::string& option) const {
  const Data::Entry* entry = FindEntry(*this, option);
  return entry && !std::holds_alternative<std::monostate>(entry->value.v);
}

int64_t Options::Int(const std::string& o) const {
  return As<int64_t>(*this, o, Find(o), "an integer");
}
double Options::Float(const std::string& o) const { return AsFloat(*this, o, Find(o)); }
bool Options::Bool(const std::string& o) const {
  return As<bool>(*this, o, Find(o), "true or false");
}
const std::string& Options::String(const std::string& o) const {
  return As<std::string>(*this, o, Find(o), "text");
}
Interval Options::Every(const std::string& o) const {
  return As<Interval>(*this, o, Find(o), "an interval");
}

std::vector<int64_t> Options::Ints(const std::string& o) const {
  std::vector<int64_t> out;
  for (const Value& v : As<Value::List>(*this, o, Find(o), "a list")) {
    out.push_back(As<int64_t>(*this, o, v, "integers"));
  }
  return out;
}

std::vector<double> Options::Floats(const std::string& o) const {
  std::vector<double> out;
  for (const Value& v : As<Value::List>(*this, o, Find(o), "a list")) {
    out.push_back(AsFloat(*this, o, v));
  }
  return out;
}

std::vector<std::string> Options::Strings(const std::string& o) const {
  std::vector<std::string> out;
  for (const Value& v : As<Value::List>(*this, o, Find(o), "a list")) {
    out.push_back(As<std::string>(*this, o, v, "texts"));
  }
  return out;
}

const Options& Options::Child(const std::string& o) const {
  return As<Options>(*this, o, Find(o), "a block");
}

std::vector<Options> Options::Children(const std::string& o) const {
  std::vector<Options> out;
  for (const Value& v : As<Value::List>(*this, o, Find(o), "a list")) {
    out.push_back(As<Options>(*this, o, v, "blocks"));
  }
  return out;
}

std::vector<std::string> Options::Keys(const std::string& o) const {
  Find(o);
  return FindEntry(*this, o)->keys;
}

const OptionNode& Options::Any(const std::string& o) const {
  return As<OptionNode>(*this, o, Find(o), "anything");
}

bool Options::IsObject(const std::string& o) const {
  return std::holds_alternative<Options>(Find(o).v);
}
bool Options::IsString(const std::string& o) const {
  return std::holds_alternative<std::string>(Find(o).v);
}

const std::string& Options::Origin(const std::string& o) const {
  Find(o);
  return FindEntry(*this, o)->origin;
}

std::vector<std::string> Options::Names() const {
  std::vector<std::string> names;
  for (const Data::Entry& entry : data_->entries) names.push_back(entry.name);
  return names;
}

// --- JSON and nodes ---------------------------------------------------------

namespace {

using Json = nlohmann::ordered_json;

template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <typename... F>
Overloaded(F...) -> Overloaded<F...>;

Json NodeToJson(const OptionNode& node) {
  return std::visit(
      Overloaded{[](std::monostate) { return Json(); },
                 [](const OptionNode::Plain& p) { return Json(p.text); },
                 [](const OptionNode::List& list) {
                   Json json = Json::array();
                   for (const OptionNode& item : list) json.push_back(NodeToJson(item));
                   return json;
                 },
                 [](const OptionNode::Map& map) {
                   Json json = Json::object();
                   for (const auto& entry : map) json[entry.key] = NodeToJson(entry.value);
                   return json;
                 },
                 [](const auto& scalar) { return Json(scalar); }},
      node.v);
}

Json EntriesToJson(const Options& options);

Json ValueToJson(const Options::Value& value, const std::vector<std::string>& keys) {
  return std::visit(
      Overloaded{[](std::monostate) { return Json(); },
                 [](const Interval& i) { return Json(i.ToString()); },
                 [](const OptionNode& node) { return NodeToJson(node); },
                 [](const Options& o) {
                   if (!o.data().is_thing) return EntriesToJson(o);
                   return Json{{"class_name", o.name()}, {"config", EntriesToJson(o)}};
                 },
                 [&](const Options::Value::List& list) {
                   Json json = keys.empty() ? Json::array() : Json::object();
                   for (size_t i = 0; i < list.size(); ++i) {
                     if (keys.empty()) json.push_back(ValueToJson(list[i], {}));
                     else json[keys[i]] = ValueToJson(list[i], {});
                   }
                   return json;
                 },
                 [](const auto& scalar) { return Json(scalar); }},
      value.v);
}

Json EntriesToJson(const Options& options) {
  Json json = Json::object();
  for (const Options::Data::Entry& entry : options.data().entries) {
    json[entry.name] = ValueToJson(entry.value, entry.keys);
  }
  return json;
}

OptionNode ValueToNode(const Options::Value& value, const std::vector<std::string>& keys) {
  return std::visit(
      Overloaded{[](const Interval& i) { return OptionNode(i.ToString()); },
                 [](const Options& o) { return o.ToNode(); },
                 [](const OptionNode& node) { return node; },
                 [](std::monostate) { return OptionNode(); },
                 [&](const Options::Value::List& list) {
                   OptionNode::List items;
                   OptionNode::Map map;
                   for (size_t i = 0; i < list.size(); ++i) {
                     OptionNode item = ValueToNode(list[i], {});
                     if (keys.empty()) items.push_back(std::move(item));
                     else map.push_back({keys[i], std::move(item)});
                   }
                   if (keys.empty()) return OptionNode(std::move(items));
                   return OptionNode(std::move(map));
                 },
                 [](const auto& scalar) { return OptionNode(scalar); }},
      value.v);
}

}  // namespace

std::string Options::ToJson() const { return EntriesToJson(*this).dump(); }

OptionNode Options::ToNode() const {
  OptionNode::Map own, extras;
  for (const Data::Entry& entry : data_->entries) {
    (entry.extra ? extras : own)
        .push_back({entry.name, ValueToNode(entry.value, entry.keys)});
  }
  if (!data_->is_thing) return OptionNode(std::move(own));
  OptionNode::Map map;
  if (data_->tag.empty()) {
    map.push_back({data_->name, OptionNode(std::move(own))});
  } else {
    map.push_back({data_->tag, OptionNode(data_->name)});
    map.insert(map.end(), own.begin(), own.end());
  }
  map.insert(map.end(), extras.begin(), extras.end());
  return OptionNode(std::move(map));
}

Options MakeOptions(const OptionTable& table, const OptionNode& values) {
  std::vector<OptionProblem> problems;
  OptionCheckContext context;
  Options options = CheckOptions(table, values, "", {}, context, &problems);
  if (problems.empty()) return options;
  std::vector<std::string> lines;
  for (const OptionProblem& p : problems) {
    lines.push_back(p.path.empty() ? p.message : p.path + ": " + p.message);
  }
  throw InvalidArgumentError("[{}] {}", table.name, Join(lines, "; "));
}

}  // namespace tributary

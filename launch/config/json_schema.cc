#include "launch/config/json_schema.h"

#include <nlohmann/json.hpp>
#include <set>

#include "core/base/option_registry.h"
#include "core/base/strings.h"
#include "launch/config/job_schema.h"

namespace tributary {
namespace {

using Json = nlohmann::ordered_json;

Json AnyOf(std::vector<Json> choices) {
  if (choices.size() == 1) return std::move(choices[0]);
  return Json{{"anyOf", std::move(choices)}};
}

const Json kNull = {{"type", "null"}};

class SchemaWriter {
 public:
  Json Root(const OptionTable& table) {
    Json root = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "Tributary job"}};
    const Json block = Block({&table});
    for (const auto& [key, value] : block.items()) root[key] = value;
    // Kinds refer to further kinds (a layer to activations): until none is left.
    while (!pending_.empty()) {
      const std::string kind = *pending_.begin();
      pending_.erase(pending_.begin());
      WriteKind(kind);
    }
    for (const auto& [name, definition] : definitions_) root["$defs"][name] = definition;
    return root;
  }

 private:
  static bool NeedsSomething(const OptionTable& table) {
    return std::any_of(table.options.begin(), table.options.end(),
                       [](const OptionSpec& spec) { return spec.required; });
  }

  static std::vector<std::string> Spellings(const OptionTable& table) {
    std::vector<std::string> names = {table.name};
    if (ToSnakeCase(table.name) != table.name) names.push_back(ToSnakeCase(table.name));
    names.insert(names.end(), table.aliases.begin(), table.aliases.end());
    return names;
  }

  static std::vector<const OptionTable*> Things(const std::string& kind_name) {
    const OptionKind* kind = FindOptionKind(kind_name);
    return kind ? kind->Tables() : std::vector<const OptionTable*>();
  }

  // A URI fragment: no spaces.
  static std::string Key(std::string name) {
    std::replace(name.begin(), name.end(), ' ', '_');
    return name;
  }

  Json Ref(const std::string& name) {
    const std::string kind = Split(name, '.')[0];
    if (written_.insert(kind).second) pending_.insert(kind);
    return {{"$ref", "#/$defs/" + Key(name)}};
  }

  // Defines `kind` (a name or {Name: options}) and `kind.Name` (the options).
  void WriteKind(const std::string& kind) {
    std::vector<std::string> words;
    Json properties = Json::object();
    for (const OptionTable* table : Things(kind)) {
      const Json ref = Ref(kind + "." + table->name);
      for (const std::string& name : Spellings(*table)) {
        if (!NeedsSomething(*table)) words.push_back(name);
        properties[name] = NeedsSomething(*table) ? ref : AnyOf({ref, kNull});
      }
      Json block = Block({table});
      block["description"] = table->doc;
      definitions_[Key(kind + "." + table->name)] = block;
    }
    Json object = {{"type", "object"}, {"properties", properties}, {"minProperties", 1},
                   {"maxProperties", 1}, {"additionalProperties", false}};
    std::vector<Json> choices = {object};
    if (!words.empty()) choices.insert(choices.begin(), Json{{"enum", words}});
    definitions_[Key(kind)] = AnyOf(std::move(choices));
  }

  Json Block(const std::vector<const OptionTable*>& tables) {
    Json properties = Json::object();
    std::vector<std::string> required;
    for (const OptionTable* table : tables) {
      for (const OptionSpec& spec : table->options) {
        properties[spec.name] = Option(spec);
        if (spec.required) required.push_back(spec.name);
      }
    }
    Json block = {{"type", "object"}, {"properties", properties}};
    if (!required.empty()) block["required"] = required;
    block["additionalProperties"] = false;
    return block;
  }

  Json Option(const OptionSpec& spec) {
    std::vector<Json> choices;
    if (spec.list) {
      Json list = {{"type", "array"}, {"items", AnyOf(One(spec))}};
      if (spec.min_length > 0) list["minItems"] = spec.min_length;
      if (spec.max_length < OptionSpec::kMaxListLength) list["maxItems"] = spec.max_length;
      if (spec.broadcast) choices = One(spec);
      choices.push_back(list);
    } else {
      choices = One(spec);
    }
    if (!spec.required) choices.push_back(kNull);
    Json schema = AnyOf(std::move(choices));
    if (!spec.doc.empty()) schema["description"] = spec.doc;
    return schema;
  }

  static void AddRange(const OptionSpec& spec, Json* schema) {
    if (spec.min) (*schema)[spec.min_open ? "exclusiveMinimum" : "minimum"] = *spec.min;
    if (spec.max) (*schema)[spec.max_open ? "exclusiveMaximum" : "maximum"] = *spec.max;
  }

  std::vector<Json> One(const OptionSpec& spec) {
    static const Json kText = {{"type", {"string", "number", "boolean"}}};
    std::vector<Json> choices;
    bool kind_is_extra = !spec.kind.empty();
    switch (spec.type) {
      case OptionType::kInt:
      case OptionType::kFloat: {
        Json number = {{"type", spec.type == OptionType::kInt ? "integer" : "number"}};
        AddRange(spec, &number);
        choices = {number};
        break;
      }
      case OptionType::kBool: choices = {Json{{"type", "boolean"}}}; break;
      case OptionType::kString:
        if (spec.words.empty()) choices = {kText};
        break;
      case OptionType::kPath: choices = {Json{{"type", "string"}, {"minLength", 1}}}; break;
      case OptionType::kInterval:
        choices = {Json{{"type", "integer"}, {"minimum", 1}},
                   Json{{"type", "string"},
                        {"pattern",
                         "^ *(never|0*[1-9][0-9]* *(steps?|epochs?)?|[0-9]*[.]?[0-9]+ "
                         "*(s|sec|seconds|min|minutes|h|hours)) *$"}}};
        break;
      case OptionType::kObject: choices = {Ref(spec.kind)}; kind_is_extra = false; break;
      case OptionType::kTable:
        choices = {Block({spec.table.get()})};
        break;
      case OptionType::kTagged: choices = TaggedBlock(spec); kind_is_extra = false; break;
      case OptionType::kMap: choices = Map(spec); kind_is_extra = false; break;
      case OptionType::kAny: choices = {Json::object()}; break;
    }
    if (kind_is_extra) choices.push_back(Ref(spec.kind));
    if (!spec.words.empty()) choices.push_back(Json{{"enum", spec.words}});
    return choices;
  }

  std::vector<Json> TaggedBlock(const OptionSpec& spec) {
    std::vector<Json> choices;
    std::vector<std::string> words;
    for (const OptionTable* table : Things(spec.kind)) {
      Json block = Block({table, spec.table.get()});
      block["properties"][spec.tag] = {{"enum", Spellings(*table)}, {"description", table->doc}};
      std::vector<std::string> required = block.value("required", std::vector<std::string>());
      required.insert(required.begin(), spec.tag);
      block["required"] = required;
      choices.push_back(block);
      if (NeedsSomething(*table) || NeedsSomething(*spec.table)) continue;
      for (const std::string& name : Spellings(*table)) words.push_back(name);
    }
    if (!words.empty()) choices.push_back(Json{{"enum", words}});
    if (choices.empty()) choices.push_back(Json(false));
    return choices;
  }

  std::vector<Json> Map(const OptionSpec& spec) {
    Json properties = Json::object();
    std::vector<Json> one_name;
    std::vector<std::string> words;
    for (const OptionTable* table : Things(spec.kind)) {
      const Json ref = Ref(spec.kind + "." + table->name);
      for (const std::string& name : Spellings(*table)) {
        properties[name] = NeedsSomething(*table) ? ref : AnyOf({ref, kNull});
        one_name.push_back({{"required", {name}}});
        if (!NeedsSomething(*table)) words.push_back(name);
      }
    }
    for (const OptionSpec& extra : spec.table->options) properties[extra.name] = Option(extra);
    Json element = {{"type", "object"}, {"properties", properties},
                    {"additionalProperties", false}, {"oneOf", one_name}};
    Json map = {{"type", "object"}, {"minProperties", 1},
                {"additionalProperties", AnyOf({element, Json{{"enum", words}}})}};
    std::vector<Json> choices = {map};
    if (spec.or_list) {
      choices.insert(choices.begin(),
                     Json{{"type", "array"}, {"minItems", 1}, {"items", Ref(spec.kind)}});
    }
    return choices;
  }

  std::set<std::string> pending_, written_;
  std::map<std::string, Json> definitions_;
};

}  // namespace

std::string JsonSchemaOf(const OptionTable& table) {
  return SchemaWriter().Root(table).dump(2) + "\n";
}

std::string JobJsonSchema() { return JsonSchemaOf(JobTable()); }

}  // namespace tributary

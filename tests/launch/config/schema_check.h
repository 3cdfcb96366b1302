#pragma once
// As much of JSON Schema 2020-12 as JobJsonSchema writes. A keyword that it does
// not know fails, so that the schema can't say more than is checked here.

#include <nlohmann/json.hpp>
#include <regex>
#include <stdexcept>
#include <string>

#include "core/base/option_check.h"

namespace tributary {

class SchemaCheck {
 public:
  explicit SchemaCheck(const std::string& schema) : root_(nlohmann::json::parse(schema)) {}

  bool Accepts(const nlohmann::json& value) const { return Valid(root_, value); }

 private:
  using Json = nlohmann::json;

  bool Valid(const Json& schema, const Json& value) const {
    if (schema.is_boolean()) return schema.get<bool>();
    for (const auto& [keyword, rule] : schema.items()) {
      if (!Keyword(schema, keyword, rule, value)) return false;
    }
    return true;
  }

  static bool HasType(const std::string& type, const Json& value) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "null") return value.is_null();
    if (type == "number") return value.is_number();
    if (type == "integer") {
      return value.is_number_integer() ||
             (value.is_number() && value.get<double>() == std::floor(value.get<double>()));
    }
    throw std::runtime_error("unknown type " + type);
  }

  bool Keyword(const Json& schema, const std::string& keyword, const Json& rule,
               const Json& value) const {
    if (keyword == "$schema" || keyword == "title" || keyword == "description" ||
        keyword == "$defs") {
      return true;
    }
    if (keyword == "$ref") {
      const std::string name = rule.get<std::string>().substr(std::string("#/$defs/").size());
      return Valid(root_.at("$defs").at(name), value);
    }
    if (keyword == "type") {
      if (rule.is_string()) return HasType(rule, value);
      for (const auto& type : rule) {
        if (HasType(type, value)) return true;
      }
      return false;
    }
    if (keyword == "enum") return std::find(rule.begin(), rule.end(), value) != rule.end();
    if (keyword == "anyOf" || keyword == "oneOf") {
      int matches = 0;
      for (const auto& choice : rule) matches += Valid(choice, value);
      return keyword == "anyOf" ? matches > 0 : matches == 1;
    }
    if (keyword == "minimum") return !value.is_number() || value >= rule;
    if (keyword == "maximum") return !value.is_number() || value <= rule;
    if (keyword == "exclusiveMinimum") return !value.is_number() || value > rule;
    if (keyword == "exclusiveMaximum") return !value.is_number() || value < rule;
    if (keyword == "pattern") {
      return !value.is_string() ||
             std::regex_search(value.get<std::string>(), std::regex(rule.get<std::string>()));
    }
    if (keyword == "minLength") return !value.is_string() || value.get<std::string>().size() >= rule;
    if (keyword == "minItems") return !value.is_array() || value.size() >= rule;
    if (keyword == "maxItems") return !value.is_array() || value.size() <= rule;
    if (keyword == "minProperties") return !value.is_object() || value.size() >= rule;
    if (keyword == "maxProperties") return !value.is_object() || value.size() <= rule;
    if (keyword == "items") {
      if (!value.is_array()) return true;
      for (const auto& item : value) {
        if (!Valid(rule, item)) return false;
      }
      return true;
    }
    if (keyword == "required") {
      if (!value.is_object()) return true;
      for (const auto& name : rule) {
        if (!value.contains(name.get<std::string>())) return false;
      }
      return true;
    }
    if (keyword == "properties") {
      if (!value.is_object()) return true;
      for (const auto& [name, sub] : rule.items()) {
        if (value.contains(name) && !Valid(sub, value[name])) return false;
      }
      return true;
    }
    if (keyword == "additionalProperties") {
      if (!value.is_object()) return true;
      const auto properties = schema.find("properties");
      for (const auto& [name, item] : value.items()) {
        if (properties != schema.end() && properties->contains(name)) continue;
        if (!Valid(rule, item)) return false;
      }
      return true;
    }
    throw std::runtime_error("unknown keyword " + keyword);
  }

  Json root_;
};

// What an editor makes of the YAML: unquoted scalars by YAML 1.2's core schema.
inline nlohmann::json JsonOf(const OptionNode& node) {
  using Json = nlohmann::json;
  if (const auto* list = node.AsList()) {
    Json json = Json::array();
    for (const OptionNode& item : *list) json.push_back(JsonOf(item));
    return json;
  }
  if (const auto* map = node.AsMap()) {
    Json json = Json::object();
    for (const auto& entry : *map) json[entry.key] = JsonOf(entry.value);
    return json;
  }
  if (const std::string* text = node.AsString()) return *text;
  if (const auto* plain = node.AsPlain()) {
    if (plain->text == "true") return true;
    if (plain->text == "false") return false;
    static const std::regex integer("[-+]?[0-9]+"), number("[-+]?([.][0-9]+|[0-9]+([.][0-9]*)?)([eE][-+]?[0-9]+)?");
    if (std::regex_match(plain->text, integer) && plain->text.size() < 19) return std::stoll(plain->text);
    if (std::regex_match(plain->text, number)) return std::strtod(plain->text.c_str(), nullptr);
    return plain->text;
  }
  return nullptr;
}

}  // namespace tributary

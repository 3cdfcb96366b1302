#include "core/graph/attr.h"

#include "core/base/strings.h"

namespace tributary {
namespace {

std::string HashText(const Tensor& tensor) {
  if (tensor.IsSymbolic() || !tensor.defined()) return "?";
  uint64_t hash = 0xcbf29ce484222325ull;
  auto mix = [&hash](const void* data, size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    for (size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3ull;
  };
  if (tensor.dtype() == DType::kString) {
    for (const std::string& s : tensor.values<std::string>()) {
      mix(s.data(), s.size() + 1);
    }
  } else if (tensor.dtype() == DType::kResource) {
    const void* variable = tensor.resource().get();
    mix(&variable, sizeof(variable));
  } else {
    mix(tensor.raw_data(), tensor.bytes());
  }
  return fmt::format("{:016x}", hash);
}

std::string Text(std::monostate) { return "<none>"; }
std::string Text(int64_t v) { return std::to_string(v); }
// Nine digits tell every float from every other.
std::string Text(float v) { return fmt::format("{:.9g}f", v); }
std::string Text(bool v) { return v ? "true" : "false"; }
std::string Text(const std::string& v) { return "\"" + v + "\""; }
std::string Text(DType v) { return DTypeProtoName(v); }
std::string Text(const Shape& v) { return v.ToString(); }
std::string Text(const Tensor& v) {
  return "tensor<" + v.spec().ToString() + " " + HashText(v) + ">";
}
template <typename T>
std::string Text(const std::vector<T>& v) {
  std::vector<std::string> parts;
  for (const T& item : v) parts.push_back(Text(item));
  return "[" + Join(parts, ", ") + "]";
}

}  // namespace

const char* AttrValue::TypeName() const {
  static constexpr const char* kNames[] = {
      "none",  "int",       "float",       "bool",         "string",     "type",       "shape",
      "tensor", "list(int)", "list(float)", "list(string)", "list(type)", "list(shape)"};
  return kNames[value_.index()];
}

std::string AttrValue::ToString() const {
  return std::visit([](const auto& v) { return Text(v); }, value_);
}

const AttrValue* AttrMap::Find(const std::string& name) const {
  const auto it = values_.find(name);
  return it == values_.end() ? nullptr : &it->second;
}

std::string AttrMap::ToString() const {
  std::vector<std::string> parts;
  for (const auto& [name, value] : values_) parts.push_back(name + "=" + value.ToString());
  return Join(parts, ", ");
}

void AttrMap::ThrowBadAttr(const std::string& name, const AttrValue* value) {
  if (!value) throw InvalidArgumentError("[attr] '{}' is missing", name);
  throw InvalidArgumentError("[attr] '{}' has type {}, another was asked for", name,
                             value->TypeName());
}

}  // namespace tributary

#pragma once
// Attributes of a node: AttrValue of tensorflow/core/framework/attr_value.proto.

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "core/tensor/tensor.h"

namespace tributary {

class AttrValue {
 public:
  using Value =
      std::variant<std::monostate, int64_t, float, bool, std::string, DType, Shape, Tensor,
                   std::vector<int64_t>, std::vector<float>, std::vector<std::string>,
                   std::vector<DType>, std::vector<Shape>>;

  AttrValue() = default;
  AttrValue(int value) : value_(int64_t{value}) {}
  AttrValue(int64_t value) : value_(value) {}
  AttrValue(float value) : value_(value) {}
  AttrValue(double value) : value_(static_cast<float>(value)) {}
  AttrValue(bool value) : value_(value) {}
  AttrValue(const char* value) : value_(std::string(value)) {}
  AttrValue(std::string value) : value_(std::move(value)) {}
  AttrValue(DType value) : value_(value) {}
  AttrValue(Shape value) : value_(std::move(value)) {}
  AttrValue(Tensor value) : value_(std::move(value)) {}
  AttrValue(std::vector<int64_t> value) : value_(std::move(value)) {}
  AttrValue(std::vector<float> value) : value_(std::move(value)) {}
  AttrValue(std::vector<std::string> value) : value_(std::move(value)) {}
  AttrValue(std::vector<DType> value) : value_(std::move(value)) {}
  AttrValue(std::vector<Shape> value) : value_(std::move(value)) {}

  const Value& value() const { return value_; }
  template <typename T>
  const T* As() const {
    return std::get_if<T>(&value_);
  }
  // "int", "list(int)", "type", "shape", ... (the words of OpDef.AttrDef.type).
  const char* TypeName() const;
  // As in a textual GraphDef, e.g. `[1, 2, 2, 1]`. Equal values print equally,
  // so the text serves as a cache key (tensors print their bytes' hash).
  std::string ToString() const;
  bool operator==(const AttrValue& other) const { return ToString() == other.ToString(); }

 private:
  Value value_;
};

// Sorted by name.
class AttrMap {
 public:
  AttrMap() = default;
  AttrMap(std::initializer_list<std::pair<const std::string, AttrValue>> values)
      : values_(values) {}

  void Set(const std::string& name, AttrValue value) { values_[name] = std::move(value); }
  void Erase(const std::string& name) { values_.erase(name); }
  const AttrValue* Find(const std::string& name) const;
  bool Has(const std::string& name) const { return Find(name) != nullptr; }
  // Throws InvalidArgumentError when missing or of another type.
  template <typename T>
  const T& Get(const std::string& name) const {
    const AttrValue* value = Find(name);
    const T* typed = value ? value->As<T>() : nullptr;
    if (!typed) ThrowBadAttr(name, value);
    return *typed;
  }
  // `fallback` when missing.
  template <typename T>
  T GetOr(const std::string& name, T fallback) const {
    return Has(name) ? Get<T>(name) : fallback;
  }
  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }
  size_t size() const { return values_.size(); }
  std::string ToString() const;

 private:
  [[noreturn]] static void ThrowBadAttr(const std::string& name, const AttrValue* value);
  std::map<std::string, AttrValue> values_;
};

}  // namespace tributary

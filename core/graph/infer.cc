// Type and shape inference of one node against its schema.

#include "core/graph/op.h"

namespace tributary {
namespace {

class Inferer {
 public:
  Inferer(const OpSchema& schema, const std::vector<TensorSpec>& inputs, AttrMap& attrs)
      : schema_(schema), inputs_(inputs), attrs_(attrs) {}

  void Run() {
    CheckNames();
    BindInputs();
    BindHandles();
    FillDefaults();
    for (const AttrDef& attr : schema_.attrs) CheckValue(attr);
  }

  std::vector<DType> OutputDTypes() const {
    std::vector<DType> dtypes;
    for (const ArgDef& arg : schema_.outputs) {
      if (!arg.type_list_attr.empty()) {
        const auto& list = attrs_.Get<std::vector<DType>>(arg.type_list_attr);
        dtypes.insert(dtypes.end(), list.begin(), list.end());
        continue;
      }
      const DType dtype = arg.type_attr.empty() ? arg.type : attrs_.Get<DType>(arg.type_attr);
      const int64_t count = arg.number_attr.empty() ? 1 : attrs_.Get<int64_t>(arg.number_attr);
      dtypes.insert(dtypes.end(), count, dtype);
    }
    return dtypes;
  }

 private:
  // Attributes starting with '_' are free annotations.
  void CheckNames() const {
    std::vector<std::string> known;
    for (const AttrDef& attr : schema_.attrs) known.push_back(attr.name);
    for (const auto& [name, value] : attrs_) {
      if (name[0] != '_' && !schema_.FindAttr(name)) {
        throw InvalidArgumentError("[{}] has no attribute '{}'{} (known: {})", schema_.name,
                                   name, DidYouMean(name, known), Join(known, ", "));
      }
    }
  }

  void BindInputs() {
    size_t next = 0;
    for (size_t a = 0; a < schema_.inputs.size(); ++a) {
      const ArgDef& arg = schema_.inputs[a];
      if (arg.number_attr.empty() && arg.type_list_attr.empty()) {
        if (next >= inputs_.size()) ThrowCount();
        BindType(arg, inputs_[next++]);
        continue;
      }
      const int64_t count = ListLength(arg, a, next);
      std::vector<DType> list;
      for (int64_t i = 0; i < count; ++i, ++next) {
        if (arg.type_list_attr.empty()) {
          BindType(arg, inputs_[next]);
        } else {
          list.push_back(inputs_[next].dtype);
        }
      }
      if (!arg.number_attr.empty()) attrs_.Set(arg.number_attr, count);
      if (!arg.type_list_attr.empty()) attrs_.Set(arg.type_list_attr, list);
    }
    if (next != inputs_.size()) ThrowCount();
  }

  // A list takes what the attribute says, else all that later arguments leave.
  int64_t ListLength(const ArgDef& arg, size_t position, size_t next) const {
    int64_t count = static_cast<int64_t>(inputs_.size()) - static_cast<int64_t>(next) -
                    static_cast<int64_t>(schema_.inputs.size() - position - 1);
    if (!arg.number_attr.empty() && attrs_.Has(arg.number_attr)) {
      count = attrs_.Get<int64_t>(arg.number_attr);
    } else if (!arg.type_list_attr.empty() && attrs_.Has(arg.type_list_attr)) {
      count = attrs_.Get<std::vector<DType>>(arg.type_list_attr).size();
    }
    if (count < 0 || next + count > inputs_.size()) ThrowCount();
    return count;
  }

  [[noreturn]] void ThrowCount() const {
    std::vector<std::string> names;
    for (const ArgDef& arg : schema_.inputs) names.push_back(arg.name);
    throw InvalidArgumentError("[{}] expected inputs ({}), got {} tensors", schema_.name,
                               Join(names, ", "), inputs_.size());
  }

  void BindType(const ArgDef& arg, const TensorSpec& input) {
    if (arg.type_attr.empty()) {
      if (input.dtype != arg.type) {
        throw InvalidArgumentError("[{}] input '{}' must be {}, got {}; convert with Cast",
                                   schema_.name, arg.name, DTypeName(arg.type),
                                   DTypeName(input.dtype));
      }
      return;
    }
    if (!attrs_.Has(arg.type_attr)) {
      attrs_.Set(arg.type_attr, input.dtype);
      first_of_[arg.type_attr] = arg.name;
      return;
    }
    const DType expected = attrs_.Get<DType>(arg.type_attr);
    if (expected == input.dtype) return;
    const auto first = first_of_.find(arg.type_attr);
    throw InvalidArgumentError(
        "[{}] input '{}' is {}, but {} is {}; dtypes are never converted silently, use Cast",
        schema_.name, arg.name, DTypeName(input.dtype),
        first != first_of_.end() ? "'" + first->second + "'" : "attribute " + arg.type_attr,
        DTypeName(expected));
  }

  // ReadVariableOp and the like: dtype (or T) is that of the variable.
  void BindHandles() {
    for (const TensorSpec& input : inputs_) {
      if (input.dtype != DType::kResource) continue;
      for (const char* name : {"dtype", "T"}) {
        const AttrDef* attr = schema_.FindAttr(name);
        if (!attr || attr->type != "type") continue;
        if (!attrs_.Has(name)) {
          attrs_.Set(name, input.handle_dtype);
        } else if (attrs_.Get<DType>(name) != input.handle_dtype) {
          throw InvalidArgumentError("[{}] the variable is {}, the value is {}; use Cast",
                                     schema_.name, DTypeName(input.handle_dtype),
                                     DTypeName(attrs_.Get<DType>(name)));
        }
        break;
      }
    }
  }

  void FillDefaults() {
    for (const AttrDef& attr : schema_.attrs) {
      if (attrs_.Has(attr.name)) continue;
      if (!attr.default_value) {
        throw InvalidArgumentError("[{}] attribute '{}' ({}) is required", schema_.name,
                                   attr.name, attr.type);
      }
      attrs_.Set(attr.name, *attr.default_value);
    }
  }

  void CheckValue(const AttrDef& attr) {
    const AttrValue& value = *attrs_.Find(attr.name);
    if (attr.type != value.TypeName()) {
      // An empty list literal has no element type of its own.
      throw InvalidArgumentError("[{}] attribute '{}' must be {}, got {}", schema_.name,
                                 attr.name, attr.type, value.TypeName());
    }
    if (attr.minimum && *value.As<int64_t>() < *attr.minimum) {
      throw InvalidArgumentError("[{}] attribute '{}' must be at least {}, got {}",
                                 schema_.name, attr.name, *attr.minimum, value.ToString());
    }
    if (!attr.allowed_strings.empty()) {
      const auto& allowed = attr.allowed_strings;
      const auto& text = *value.As<std::string>();
      if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
        throw InvalidArgumentError("[{}] attribute '{}' is '{}'; expected one of {}{}",
                                   schema_.name, attr.name, text, Join(allowed, ", "),
                                   DidYouMean(text, allowed));
      }
    }
    if (!attr.allowed_types.empty()) {
      const auto& allowed = attr.allowed_types;
      const DType dtype = *value.As<DType>();
      if (std::find(allowed.begin(), allowed.end(), dtype) == allowed.end()) {
        std::vector<std::string> names;
        for (const DType d : allowed) names.push_back(DTypeName(d));
        throw InvalidArgumentError("[{}] {} = {} is not supported; expected one of {}",
                                   schema_.name, attr.name, DTypeName(dtype),
                                   Join(names, ", "));
      }
    }
  }

  const OpSchema& schema_;
  const std::vector<TensorSpec>& inputs_;
  AttrMap& attrs_;
  std::map<std::string, std::string> first_of_;  // attr -> the input that set it
};

}  // namespace

std::vector<TensorSpec> InferOutputs(const OpSchema& schema,
                                     const std::vector<TensorSpec>& inputs,
                                     const std::vector<const Tensor*>& constants,
                                     AttrMap& attrs) {
  Inferer inferer(schema, inputs, attrs);
  inferer.Run();
  InferenceContext context(schema.name, attrs, inputs, constants, inferer.OutputDTypes());
  if (schema.shape) schema.shape(context);
  return context.outputs();
}

}  // namespace tributary

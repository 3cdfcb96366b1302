#include "core/graph/op.h"

namespace tributary {
namespace {

[[noreturn]] void BadSpec(const std::string& op, const std::string& spec) {
  throw InternalError("[{}] malformed spec '{}'", op, spec);
}

std::pair<std::string, std::string> SplitSpec(const std::string& op, const std::string& spec) {
  const size_t colon = spec.find(':');
  if (colon == std::string::npos) BadSpec(op, spec);
  return {std::string(Trim(spec.substr(0, colon))), std::string(Trim(spec.substr(colon + 1)))};
}

bool IsDTypeWord(const std::string& word) {
  static const std::set<std::string> kWords = {
      "float16", "bfloat16", "float32", "float64", "float", "double", "half",
      "int8",    "int16",    "int32",   "int64",   "uint8", "bool",   "string",
      "resource"};
  return kWords.count(word) > 0;
}

ArgDef ParseArg(const std::string& op, const std::string& spec) {
  ArgDef arg;
  std::string type;
  std::tie(arg.name, type) = SplitSpec(op, spec);
  if (const size_t star = type.find('*'); star != std::string::npos) {
    arg.number_attr = Trim(type.substr(0, star));
    type = Trim(type.substr(star + 1));
  }
  if (IsDTypeWord(type)) {
    arg.type = ParseDType(type);
  } else {
    arg.type_attr = type;  // turned into type_list_attr once the attr is seen
  }
  return arg;
}

std::vector<std::string> ParseList(std::string_view text) {
  std::vector<std::string> items;
  if (Trim(text).empty()) return items;
  for (const std::string& part : Split(text, ',')) {
    std::string item(Trim(part));
    if (item.size() >= 2 && (item.front() == '\'' || item.front() == '"')) {
      item = item.substr(1, item.size() - 2);
    }
    items.push_back(item);
  }
  return items;
}

std::string Unquote(const std::string& text) {
  return text.size() >= 2 && (text.front() == '\'' || text.front() == '"')
             ? text.substr(1, text.size() - 2)
             : text;
}

template <typename T, typename Parse>
AttrValue ParseListAttr(const std::string& inner, Parse parse) {
  std::vector<T> values;
  for (const std::string& item : ParseList(inner)) values.push_back(parse(item));
  return values;
}

AttrValue ParseDefault(const std::string& op, const std::string& type, const std::string& text) {
  const auto to_int = [](const std::string& s) { return int64_t{std::stoll(s)}; };
  const auto to_float = [](const std::string& s) { return std::stof(s); };
  const auto to_dtype = [](const std::string& s) { return ParseDType(s); };
  if (type == "int") return to_int(text);
  if (type == "float") return to_float(text);
  if (type == "bool") return text == "true";
  if (type == "string") return Unquote(text);
  if (type == "type") return to_dtype(text);
  if (type == "shape") {
    if (text == "unknown") return Shape::UnknownRank();
    return std::get<std::vector<int64_t>>(
               ParseListAttr<int64_t>(text.substr(1, text.size() - 2), to_int).value())
               .empty()
               ? AttrValue(Shape{})
               : AttrValue(Shape(std::get<std::vector<int64_t>>(
                     ParseListAttr<int64_t>(text.substr(1, text.size() - 2), to_int).value())));
  }
  if (StartsWith(type, "list(") && text.size() >= 2) {
    const std::string inner = text.substr(1, text.size() - 2);
    if (type == "list(int)") return ParseListAttr<int64_t>(inner, to_int);
    if (type == "list(float)") return ParseListAttr<float>(inner, to_float);
    if (type == "list(type)") return ParseListAttr<DType>(inner, to_dtype);
    if (type == "list(string)") {
      return ParseListAttr<std::string>(inner, [](const std::string& s) { return s; });
    }
  }
  BadSpec(op, type + " = " + text);
}

AttrDef ParseAttr(const std::string& op, const std::string& spec) {
  AttrDef attr;
  std::string rest;
  std::tie(attr.name, rest) = SplitSpec(op, spec);
  std::string default_text;
  // '=' may be part of ">=".
  for (size_t i = rest.size(); i-- > 0;) {
    if (rest[i] == '=' && (i == 0 || rest[i - 1] != '>')) {
      default_text = Trim(rest.substr(i + 1));
      rest = Trim(rest.substr(0, i));
      break;
    }
  }
  if (const size_t bound = rest.find(">="); bound != std::string::npos) {
    attr.minimum = std::stoll(rest.substr(bound + 2));
    rest = Trim(rest.substr(0, bound));
  }
  if (!rest.empty() && rest.front() == '{') {
    const size_t end = rest.find('}');
    if (end == std::string::npos) BadSpec(op, spec);
    const std::string inner = rest.substr(1, end - 1);
    attr.type = inner.find('\'') != std::string::npos ? "string" : "type";
    for (const std::string& item : ParseList(inner)) {
      if (attr.type == "string") {
        attr.allowed_strings.push_back(item);
      } else {
        attr.allowed_types.push_back(ParseDType(item));
      }
    }
  } else {
    attr.type = rest;
  }
  if (!default_text.empty()) attr.default_value = ParseDefault(op, attr.type, default_text);
  return attr;
}

}  // namespace

InferenceContext::InferenceContext(const std::string& op, const AttrMap& attrs,
                                   std::vector<TensorSpec> inputs,
                                   std::vector<const Tensor*> constants,
                                   std::vector<DType> output_dtypes)
    : op_(op), attrs_(attrs), inputs_(std::move(inputs)), constants_(std::move(constants)) {
  for (const DType dtype : output_dtypes) {
    outputs_.push_back({dtype, Shape::UnknownRank(), DType::kInvalid});
  }
}

std::optional<std::vector<int64_t>> InferenceContext::constant_ints(int i) const {
  const Tensor* value = constants_[i];
  if (!value) return std::nullopt;
  if (value->dtype() == DType::kInt64) return value->ToVector<int64_t>();
  const auto ints = value->values<int32_t>();
  return std::vector<int64_t>(ints.begin(), ints.end());
}

void InferenceContext::set_handle(int i, DType dtype, tributary::Shape shape) {
  outputs_[i].handle_dtype = dtype;
  outputs_[i].shape = std::move(shape);
}

void InferenceContext::RequireRank(int i, int rank, const char* what) const {
  if (!shape(i).unknown_rank() && shape(i).rank() != rank) {
    throw InvalidArgumentError("[{}] {} must have rank {}, got shape {}", op_, what, rank,
                               shape(i).ToString());
  }
}

const AttrDef* OpSchema::FindAttr(const std::string& attr_name) const {
  for (const AttrDef& attr : attrs) {
    if (attr.name == attr_name) return &attr;
  }
  return nullptr;
}

OpBuilder::OpBuilder(std::string name) { schema_.name = std::move(name); }

OpBuilder& OpBuilder::Input(const std::string& spec) {
  schema_.inputs.push_back(ParseArg(schema_.name, spec));
  return *this;
}
OpBuilder& OpBuilder::Output(const std::string& spec) {
  schema_.outputs.push_back(ParseArg(schema_.name, spec));
  return *this;
}
OpBuilder& OpBuilder::Attr(const std::string& spec) {
  schema_.attrs.push_back(ParseAttr(schema_.name, spec));
  return *this;
}
OpBuilder& OpBuilder::Shape(ShapeFn fn) {
  schema_.shape = std::move(fn);
  return *this;
}
OpBuilder& OpBuilder::Gradient(GradientFn fn) {
  schema_.gradient = std::move(fn);
  return *this;
}
OpBuilder& OpBuilder::Samples(std::function<std::vector<OpSample>()> fn) {
  schema_.samples = std::move(fn);
  return *this;
}
OpBuilder& OpBuilder::Stateful() {
  schema_.stateful = true;
  return *this;
}
OpBuilder& OpBuilder::Commutative() {
  schema_.commutative = true;
  return *this;
}
OpBuilder& OpBuilder::NotDifferentiable() {
  schema_.differentiable = false;
  return *this;
}

Registry<OpSchema>& OpRegistry() {
  static auto* registry = new Registry<OpSchema>("op");
  return *registry;
}

OpRegistrar::OpRegistrar(OpBuilder& builder) {
  OpSchema schema = builder.schema();
  // "values: Tlist" means a list when Tlist is a list(type) attribute.
  for (auto* args : {&schema.inputs, &schema.outputs}) {
    for (ArgDef& arg : *args) {
      if (arg.type_attr.empty()) continue;
      const AttrDef* attr = schema.FindAttr(arg.type_attr);
      if (!attr) BadSpec(schema.name, arg.name + ": " + arg.type_attr + " (no such attr)");
      if (attr->type == "list(type)") std::swap(arg.type_attr, arg.type_list_attr);
    }
  }
  const std::string name = schema.name;
  OpRegistry().Add(name, std::move(schema));
}

}  // namespace tributary

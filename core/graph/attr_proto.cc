#include "core/graph/attr_proto.h"

#include "core/proto/graph.pb.h"
#include "core/tensor/proto.h"

namespace tributary {
namespace {

using Message = proto::AttrValue;

struct Writer {
  Message* out;

  void operator()(std::monostate) const {}
  void operator()(int64_t v) const { out->set_i(v); }
  void operator()(float v) const { out->set_f(v); }
  void operator()(bool v) const { out->set_b(v); }
  void operator()(const std::string& v) const { out->set_s(v); }
  void operator()(DType v) const { out->set_type(static_cast<proto::DataType>(v)); }
  void operator()(const Shape& v) const { ShapeToProto(v, out->mutable_shape()); }
  void operator()(const Tensor& v) const { TensorToProto(v, out->mutable_tensor()); }
  void operator()(const std::vector<int64_t>& v) const {
    out->mutable_list()->mutable_i()->Add(v.begin(), v.end());
  }
  void operator()(const std::vector<float>& v) const {
    out->mutable_list()->mutable_f()->Add(v.begin(), v.end());
  }
  void operator()(const std::vector<std::string>& v) const {
    out->mutable_list();
    for (const std::string& s : v) out->mutable_list()->add_s(s);
  }
  void operator()(const std::vector<DType>& v) const {
    out->mutable_list();
    for (const DType t : v) out->mutable_list()->add_type(static_cast<proto::DataType>(t));
  }
  void operator()(const std::vector<Shape>& v) const {
    out->mutable_list();
    for (const Shape& s : v) ShapeToProto(s, out->mutable_list()->add_shape());
  }
};

// Resource handles are dtypes of attributes too.
DType CheckedDType(int value) {
  const auto dtype = static_cast<DType>(value);
  if (dtype == DType::kResource || dtype == DType::kString) return dtype;
  if (IsPlain(dtype) && DTypeSize(dtype) > 0) return dtype;
  throw UnimplementedError("dtype {} is not supported",
                           proto::DataType_Name(static_cast<proto::DataType>(value)));
}

const char* TypeOf(const Message& in) {
  switch (in.value_case()) {
    case Message::kS: return "string";
    case Message::kI: return "int";
    case Message::kF: return "float";
    case Message::kB: return "bool";
    case Message::kType: return "type";
    case Message::kShape: return "shape";
    case Message::kTensor: return "tensor";
    case Message::kList: {
      const auto& list = in.list();
      if (list.i_size()) return "list(int)";
      if (list.f_size()) return "list(float)";
      if (list.type_size()) return "list(type)";
      if (list.shape_size()) return "list(shape)";
      if (list.b_size()) return "list(bool)";
      if (list.tensor_size()) return "list(tensor)";
      if (list.func_size()) return "list(func)";
      return "list(string)";
    }
    case Message::kPlaceholder: return "placeholder";
    case Message::kFunc: return "func";
    case Message::VALUE_NOT_SET: break;
  }
  return "nothing";
}

int ListSize(const Message& in) {
  const auto& l = in.list();
  return l.i_size() + l.f_size() + l.s_size() + l.type_size() + l.shape_size() + l.b_size() +
         l.tensor_size() + l.func_size();
}

AttrValue ListFromProto(const proto::AttrValue::ListValue& list, const std::string& type) {
  if (type == "list(int)") return std::vector<int64_t>(list.i().begin(), list.i().end());
  if (type == "list(float)") return std::vector<float>(list.f().begin(), list.f().end());
  if (type == "list(string)") return std::vector<std::string>(list.s().begin(), list.s().end());
  if (type == "list(type)") {
    std::vector<DType> types;
    for (const int t : list.type()) types.push_back(CheckedDType(t));
    return types;
  }
  if (type == "list(shape)") {
    std::vector<Shape> shapes;
    for (const auto& s : list.shape()) shapes.push_back(ShapeFromProto(s));
    return shapes;
  }
  throw UnimplementedError("attributes of type {} are not supported", type);
}

}  // namespace

void AttrToProto(const AttrValue& value, proto::AttrValue* out) {
  std::visit(Writer{out}, value.value());
}

AttrValue AttrFromProto(const proto::AttrValue& in, const std::string& type) {
  const std::string got = TypeOf(in);
  const bool empty_list = in.value_case() == Message::kList && ListSize(in) == 0;
  const std::string wanted = type.empty() ? got : type;
  if (wanted != got && !(empty_list && wanted.rfind("list(", 0) == 0)) {
    throw InvalidArgumentError("expected {}, got {}", wanted, got);
  }
  switch (in.value_case()) {
    case Message::kS: return in.s();
    case Message::kI: return static_cast<int64_t>(in.i());
    case Message::kF: return in.f();
    case Message::kB: return in.b();
    case Message::kType: return CheckedDType(in.type());
    case Message::kShape: return ShapeFromProto(in.shape());
    case Message::kTensor: return TensorFromProto(in.tensor());
    case Message::kList: return ListFromProto(in.list(), wanted);
    default: throw UnimplementedError("attributes of type {} are not supported", got);
  }
}

bool IsEmptyAttr(const proto::AttrValue& in) {
  switch (in.value_case()) {
    case Message::kS: return in.s().empty();
    case Message::kI: return in.i() == 0;
    case Message::kF: return in.f() == 0;
    case Message::kB: return !in.b();
    case Message::kList: return ListSize(in) == 0;
    default: return false;
  }
}

}  // namespace tributary

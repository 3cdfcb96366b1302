#include "core/graph/graph_import.h"

#include <charconv>

#include "core/base/strings.h"
#include "core/proto/graph.pb.h"
#include "core/runtime/variable.h"
#include "core/tensor/proto.h"

namespace tributary {
namespace {

// Variables made on import are zeroed memory: a cap on what a file may ask for.
constexpr int64_t kMaxVariableElements = int64_t{1} << 32;

[[noreturn]] void Refuse(const proto::NodeDef& def, const std::string& why) {
  throw InvalidArgumentError("[GraphDef] node '{}' ({}): {}", def.name(), def.op(), why);
}

DType DTypeFromProto(proto::DataType type, const proto::NodeDef& def) {
  const auto dtype = static_cast<DType>(type);
  if (DTypeSize(dtype) == 0) {
    Refuse(def, fmt::format("data type {} is not supported", static_cast<int>(type)));
  }
  return dtype;
}

// The list's element type is not in the message when it is empty: the schema says.
AttrValue ListFromProto(const proto::AttrValue::ListValue& list, const std::string& type,
                        const proto::NodeDef& def) {
  if (type == "list(float)") return std::vector<float>(list.f().begin(), list.f().end());
  if (type == "list(string)") return std::vector<std::string>(list.s().begin(), list.s().end());
  if (type == "list(type)") {
    std::vector<DType> dtypes;
    for (const int t : list.type()) {
      dtypes.push_back(DTypeFromProto(static_cast<proto::DataType>(t), def));
    }
    return dtypes;
  }
  if (type == "list(shape)") {
    std::vector<Shape> shapes;
    for (const auto& s : list.shape()) shapes.push_back(ShapeFromProto(s));
    return shapes;
  }
  if (type == "list(int)") return std::vector<int64_t>(list.i().begin(), list.i().end());
  Refuse(def, "an attribute of type " + type + " is given as a list");
}

AttrValue AttrFromProto(const proto::AttrValue& attr, const std::string& type,
                        const proto::NodeDef& def) {
  switch (attr.value_case()) {
    case proto::AttrValue::kS: return attr.s();
    case proto::AttrValue::kI: return int64_t{attr.i()};
    case proto::AttrValue::kF: return attr.f();
    case proto::AttrValue::kB: return attr.b();
    case proto::AttrValue::kType: return DTypeFromProto(attr.type(), def);
    case proto::AttrValue::kShape: return ShapeFromProto(attr.shape());
    case proto::AttrValue::kTensor: return TensorFromProto(attr.tensor());
    case proto::AttrValue::kList: return ListFromProto(attr.list(), type, def);
    default: Refuse(def, "functions and placeholders are not supported as attributes");
  }
}

class Importer {
 public:
  explicit Importer(const proto::GraphDef& def) : def_(def) {}

  std::unique_ptr<Graph> Run() {
    if (def_.library().function_size() > 0) {
      throw UnimplementedError("[GraphDef] function libraries can't be imported; inline '{}'",
                               def_.library().function(0).signature().name());
    }
    Index();
    for (const int i : Order()) Add(def_.node(i));
    return std::move(graph_);
  }

 private:
  void Index() {
    for (int i = 0; i < def_.node_size(); ++i) {
      if (!position_.emplace(def_.node(i).name(), i).second) {
        Refuse(def_.node(i), "the name is used twice");
      }
    }
  }

  struct Reference {
    std::string name;
    int index = 0;
    bool control = false;
  };
  static Reference Parse(const proto::NodeDef& def, const std::string& text) {
    if (StartsWith(text, "^")) return {text.substr(1), 0, true};
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos) return {text, 0, false};
    Reference reference{text.substr(0, colon), 0, false};
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, reference.index);
    if (parsed.ec != std::errc() || parsed.ptr != end || reference.index < 0) {
      Refuse(def, "malformed input '" + text + "'");
    }
    return reference;
  }

  // Files may list nodes in any order (Kahn's algorithm, first come first served).
  std::vector<int> Order() {
    std::vector<std::vector<int>> users(def_.node_size());
    std::vector<int> waiting(def_.node_size());
    for (int i = 0; i < def_.node_size(); ++i) {
      for (const std::string& input : def_.node(i).input()) {
        const auto from = position_.find(Parse(def_.node(i), input).name);
        if (from == position_.end()) {
          Refuse(def_.node(i), "input '" + input + "' does not exist");
        }
        users[from->second].push_back(i);
        ++waiting[i];
      }
    }
    std::set<int> ready;
    for (int i = 0; i < def_.node_size(); ++i) {
      if (waiting[i] == 0) ready.insert(i);
    }
    std::vector<int> order;
    while (!ready.empty()) {
      const int i = *ready.begin();
      ready.erase(ready.begin());
      order.push_back(i);
      for (const int user : users[i]) {
        if (--waiting[user] == 0) ready.insert(user);
      }
    }
    for (int i = 0; i < def_.node_size(); ++i) {
      if (waiting[i] > 0) Refuse(def_.node(i), "is part of a cycle");
    }
    return order;
  }

  void Add(const proto::NodeDef& def) {
    const OpSchema* schema = OpRegistry().Find(def.op());
    if (!schema) Refuse(def, "unknown op" + DidYouMean(def.op(), OpRegistry().Names()));
    AttrMap attrs;
    for (const auto& [name, value] : def.attr()) {
      const AttrDef* attr = schema->FindAttr(name);
      if (!attr && name[0] != '_') continue;  // of a newer TensorFlow: not ours to judge
      attrs.Set(name, AttrFromProto(value, attr ? attr->type : "list(string)", def));
    }
    std::vector<Tensor> inputs;
    std::vector<Node*> controls;
    for (const std::string& text : def.input()) {
      const Reference reference = Parse(def, text);
      Node* from = graph_->FindNode(reference.name);
      if (reference.control) {
        controls.push_back(from);
      } else if (!controls.empty()) {
        Refuse(def, "a data input follows a control input");
      } else if (reference.index >= from->num_outputs()) {
        Refuse(def, fmt::format("input '{}' does not exist: {} has {} outputs", text,
                                from->name(), from->num_outputs()));
      } else {
        inputs.push_back(from->out(reference.index));
      }
    }
    Node* node = nullptr;
    try {
      node = def.op() == "VarHandleOp"
                 ? MakeVariable(def, attrs)
                 : graph_->AddNode(def.op(), inputs, std::move(attrs), def.name(), controls);
    } catch (const Error& e) {
      Refuse(def, e.what());
    }
    if (node->name() != def.name()) Refuse(def, "the name is not legal");
    node->set_device(def.device());
  }

  Node* MakeVariable(const proto::NodeDef& def, const AttrMap& attrs) {
    const Shape& shape = attrs.Get<Shape>("shape");
    if (shape.NumElements() > kMaxVariableElements) {
      Refuse(def, "a variable of shape " + shape.ToString() + " is too large");
    }
    const Tensor zeros = Tensor::Zeros(attrs.Get<DType>("dtype"), shape);
    return graph_->Capture(Variable::Create(def.name(), zeros)).node();
  }

  const proto::GraphDef& def_;
  std::unique_ptr<Graph> graph_ = std::make_unique<Graph>();
  std::unordered_map<std::string, int> position_;
};

}  // namespace

std::unique_ptr<Graph> ImportGraphDef(const proto::GraphDef& def) {
  return Importer(def).Run();
}

}  // namespace tributary

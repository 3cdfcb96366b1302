#include "core/graph/graphdef.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>

#include <charconv>
#include <queue>

#include "core/graph/attr_proto.h"
#include "core/proto/graph.pb.h"

namespace tributary {
namespace {

constexpr int64_t kMaxVariableElements = int64_t{1} << 32;

std::string InputName(const Tensor& tensor) {
  const std::string& name = tensor.node()->name();
  return tensor.index() == 0 ? name : fmt::format("{}:{}", name, tensor.index());
}

// Inputs that TensorFlow's op takes as uint64, a dtype that we do not have: its bits are
// in an int64 tensor here, and in a file they pass through a Bitcast. An op names such
// inputs by a private attribute.
constexpr char kUint64Inputs[] = "_uint64_inputs";

bool IsUint64Input(const Node& node, int i) {
  const AttrValue* value = node.attrs().Find(kUint64Inputs);
  const auto* inputs = value ? value->As<std::vector<int64_t>>() : nullptr;
  return inputs && std::find(inputs->begin(), inputs->end(), i) != inputs->end() &&
         node.input(i).dtype() == DType::kInt64;
}

std::string BitcastToUint64(const Graph& graph, const Node& node, int i, proto::GraphDef* def) {
  std::string name = fmt::format("{}/uint64_{}", node.name(), i);
  while (graph.FindNode(name)) name += '_';
  proto::NodeDef* cast = def->add_node();
  cast->set_name(name);
  cast->set_op("Bitcast");
  cast->add_input(InputName(node.input(i)));
  (*cast->mutable_attr())["T"].set_type(proto::DT_INT64);
  (*cast->mutable_attr())["type"].set_type(proto::DT_UINT64);
  return name;
}

bool IsBitcastToUint64(const proto::NodeDef& def) {
  const auto is = [&](const char* attr, proto::DataType type) {
    const auto it = def.attr().find(attr);
    return it != def.attr().end() && it->second.type() == type;
  };
  return def.op() == "Bitcast" && is("T", proto::DT_INT64) && is("type", proto::DT_UINT64);
}

void NodeToDef(const Node& node, const GraphDefOptions& options,
               const std::vector<std::string>& inputs, proto::NodeDef* out) {
  out->set_name(node.name());
  out->set_op(node.op());
  out->set_device(node.device());
  for (const std::string& input : inputs) out->add_input(input);
  for (const Node* control : node.control_inputs()) out->add_input("^" + control->name());
  auto& attrs = *out->mutable_attr();
  for (const auto& [name, value] : node.attrs()) AttrToProto(value, &attrs[name]);
  if (!options.output_shapes || node.num_outputs() == 0) return;
  std::vector<Shape> shapes;
  for (const TensorSpec& spec : node.outputs()) {
    shapes.push_back(spec.dtype == DType::kResource ? Shape{} : spec.shape);
  }
  AttrToProto(shapes, &attrs["_output_shapes"]);
}

proto::GraphDef ToDef(const Graph& graph, const GraphDefOptions& options) {
  proto::GraphDef def;
  for (const auto& node : graph.nodes()) {
    std::vector<std::string> inputs;
    for (int i = 0; i < node->num_inputs(); ++i) {
      inputs.push_back(IsUint64Input(*node, i) ? BitcastToUint64(graph, *node, i, &def)
                                               : InputName(node->input(i)));
    }
    NodeToDef(*node, options, inputs, def.add_node());
  }
  def.mutable_versions()->set_producer(kGraphDefProducer);
  return def;
}

struct FirstError final : google::protobuf::io::ErrorCollector {
  void AddError(int line, int column, const std::string& message) override {
    if (text.empty()) text = fmt::format("line {}, column {}: {}", line + 1, column + 1, message);
  }
  std::string text;
};

// Reads a GraphDef that nobody vouches for.
class Importer {
 public:
  explicit Importer(const proto::GraphDef& def) : def_(def) {}

  std::unique_ptr<Graph> Run() {
    if (def_.library().function_size() > 0) {
      throw UnimplementedError("[GraphDef] functions are not supported; inline '{}'",
                               def_.library().function(0).signature().name());
    }
    ReadNames();
    ReadEdges();
    graph_ = std::make_unique<Graph>();
    for (const int i : Order()) AddNode(i);
    return std::move(graph_);
  }

 private:
  struct Edge {
    int node;
    int output;
    bool as_uint64 = false;
  };
  struct Edges {
    std::vector<Edge> data;
    std::vector<int> control;
  };

  // [A-Za-z0-9.][A-Za-z0-9_>./\-]*
  static bool IsName(const std::string& name) {
    if (name.empty() || name.size() > 4096) return false;
    for (size_t i = 0; i < name.size(); ++i) {
      const bool plain = std::isalnum(static_cast<unsigned char>(name[i])) || name[i] == '.';
      if (!plain && (i == 0 ? name[i] != '_' : !std::strchr("_>/\\-", name[i]) || !name[i])) {
        return false;
      }
    }
    return true;
  }

  void ReadNames() {
    for (int i = 0; i < def_.node_size(); ++i) {
      const std::string& name = def_.node(i).name();
      if (!IsName(name)) {
        throw InvalidArgumentError("[GraphDef] node {} has the invalid name '{}'", i, name);
      }
      if (!index_.emplace(name, i).second) {
        throw InvalidArgumentError("[GraphDef] the node name '{}' is used twice", name);
      }
    }
  }

  int Find(const std::string& name, int user) const {
    const auto it = index_.find(name);
    if (it == index_.end()) {
      throw InvalidArgumentError("[GraphDef] node '{}': input '{}' does not exist",
                                 def_.node(user).name(), name);
    }
    return it->second;
  }

  void ReadEdges() {
    edges_.resize(def_.node_size());
    for (int i = 0; i < def_.node_size(); ++i) {
      for (const std::string& input : def_.node(i).input()) ReadInput(input, i);
    }
    for (Edges& edges : edges_) PassBitcasts(&edges);
  }

  // Who reads a Bitcast to uint64, or waits for it, does so with what it reads.
  void PassBitcasts(Edges* edges) const {
    for (Edge& edge : edges->data) {
      if (!IsBitcastToUint64(def_.node(edge.node))) continue;
      const Edge source = SourceOfBitcast(edge.node, edge.output);
      edge = {source.node, source.output, true};
    }
    for (int& node : edges->control) {
      if (IsBitcastToUint64(def_.node(node))) node = SourceOfBitcast(node, 0).node;
    }
  }

  Edge SourceOfBitcast(int cast, int output) const {
    const Edges& edges = edges_[cast];
    const bool plain = edges.data.size() == 1 && edges.control.empty() && output == 0 &&
                       !edges.data[0].as_uint64 &&
                       !IsBitcastToUint64(def_.node(edges.data[0].node));
    if (plain) return edges.data[0];
    throw InvalidArgumentError("[GraphDef] node '{}': a Bitcast to uint64 must have one int64 "
                               "input and nothing else",
                               def_.node(cast).name());
  }

  void ReadInput(const std::string& input, int user) {
    Edges& edges = edges_[user];
    if (!input.empty() && input[0] == '^') {
      edges.control.push_back(Find(input.substr(1), user));
      return;
    }
    if (!edges.control.empty()) {
      throw InvalidArgumentError("[GraphDef] node '{}': input '{}' comes after a control input",
                                 def_.node(user).name(), input);
    }
    const size_t colon = input.rfind(':');
    int output = 0;
    if (colon != std::string::npos) {
      const char* end = input.data() + input.size();
      const auto parsed = std::from_chars(input.data() + colon + 1, end, output);
      if (parsed.ec != std::errc() || parsed.ptr != end || output < 0) {
        throw InvalidArgumentError("[GraphDef] node '{}': '{}' is no input; expected 'node' or "
                                   "'node:output'",
                                   def_.node(user).name(), input);
      }
    }
    edges.data.push_back({Find(input.substr(0, colon), user), output});
  }

  // Inputs first, else as in the file, which is the program order of effects.
  std::vector<int> Order() const {
    const int count = def_.node_size();
    std::vector<int> waiting(count, 0);
    std::vector<std::vector<int>> users(count);
    for (int i = 0; i < count; ++i) {
      for (const Edge& edge : edges_[i].data) users[edge.node].push_back(i);
      for (const int control : edges_[i].control) users[control].push_back(i);
      waiting[i] = static_cast<int>(edges_[i].data.size() + edges_[i].control.size());
    }
    std::priority_queue<int, std::vector<int>, std::greater<>> ready;
    for (int i = 0; i < count; ++i) {
      if (waiting[i] == 0) ready.push(i);
    }
    std::vector<int> order;
    while (!ready.empty()) {
      order.push_back(ready.top());
      ready.pop();
      for (const int user : users[order.back()]) {
        if (--waiting[user] == 0) ready.push(user);
      }
    }
    if (static_cast<int>(order.size()) == count) return order;
    const auto stuck = std::find_if(waiting.begin(), waiting.end(), [](int w) { return w > 0; });
    throw InvalidArgumentError("[GraphDef] node '{}' is part of a cycle",
                               def_.node(static_cast<int>(stuck - waiting.begin())).name());
  }

  AttrMap ReadAttrs(const proto::NodeDef& def, const OpSchema& schema) const {
    AttrMap attrs;
    for (const auto& [name, value] : def.attr()) {
      const AttrDef* attr = schema.FindAttr(name);
      const bool annotation = !name.empty() && name[0] == '_';
      // Written by a newer producer, saying what it would say if left out.
      if (!attr && !annotation && IsEmptyAttr(value)) continue;
      if (annotation && name == "_output_shapes") continue;
      try {
        attrs.Set(name, AttrFromProto(value, attr ? attr->type : ""));
      } catch (const Error& e) {
        ThrowError(e.code(), fmt::format("[GraphDef] node '{}' ({}), attribute '{}': {}",
                                         def.name(), def.op(), name, e.what()));
      }
    }
    return attrs;
  }

  void CheckUint64(const Node& node, const std::vector<Edge>& edges) const {
    for (size_t k = 0; k < edges.size(); ++k) {
      if (!edges[k].as_uint64 || IsUint64Input(node, static_cast<int>(k))) continue;
      throw UnimplementedError("[GraphDef] node '{}' ({}): input {} is uint64, which this op "
                               "does not compute with",
                               node.name(), node.op(), k);
    }
  }

  void AddNode(int i) {
    const proto::NodeDef& def = def_.node(i);
    if (IsBitcastToUint64(def)) return;
    const OpSchema* schema = OpRegistry().Find(def.op());
    if (!schema) {
      throw NotFoundError("[GraphDef] node '{}': there is no op '{}'{}", def.name(), def.op(),
                          DidYouMean(def.op(), OpRegistry().Names()));
    }
    std::vector<Tensor> inputs;
    for (const Edge& edge : edges_[i].data) {
      Node* node = made_.at(edge.node);
      if (edge.output >= node->num_outputs()) {
        throw InvalidArgumentError("[GraphDef] node '{}': input '{}:{}' does not exist; {} has "
                                   "{} outputs",
                                   def.name(), node->name(), edge.output, node->op(),
                                   node->num_outputs());
      }
      inputs.push_back(node->out(edge.output));
    }
    std::vector<Node*> control;
    for (const int c : edges_[i].control) control.push_back(made_.at(c));
    Node* node = graph_->AddNode(def.op(), inputs, ReadAttrs(def, *schema), def.name(), control);
    TRB_CHECK(node->name() == def.name());
    CheckUint64(*node, edges_[i].data);
    CheckVariable(*node);
    node->set_device(def.device());
    made_[i] = node;
  }

  // Whoever runs the graph makes the variable: zeroed memory.
  static void CheckVariable(const Node& node) {
    if (node.num_outputs() == 0 || node.output(0).dtype != DType::kResource) return;
    const Shape& shape = node.output(0).shape;
    if (shape.IsFullyDefined() && shape.NumElements() > kMaxVariableElements) {
      throw InvalidArgumentError("[GraphDef] node '{}': a variable of shape {} is too large",
                                 node.name(), shape.ToString());
    }
  }

  const proto::GraphDef& def_;
  std::unordered_map<std::string, int> index_;
  std::vector<Edges> edges_;
  std::unordered_map<int, Node*> made_;
  std::unique_ptr<Graph> graph_;
};

}  // namespace

std::string GraphDefBytes(const Graph& graph, const GraphDefOptions& options) {
  const proto::GraphDef def = ToDef(graph, options);
  if (def.ByteSizeLong() >= size_t{1} << 31) {
    throw ResourceExhaustedError("[GraphDef] the graph takes {} bytes; a message holds less than "
                                 "2 GiB: keep large constants in variables",
                                 def.ByteSizeLong());
  }
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    def.SerializeToCodedStream(&coded);
  }
  return bytes;
}

std::string GraphDefText(const Graph& graph, const GraphDefOptions& options) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(ToDef(graph, options), &text);
  return text;
}

std::unique_ptr<Graph> GraphFromDef(std::string_view bytes) {
  const google::protobuf::LogSilencer silence;  // the error is thrown, not printed
  proto::GraphDef def;
  if (bytes.size() >= size_t{1} << 31 ||
      !def.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw DataLossError("[GraphDef] {} bytes are no GraphDef message", bytes.size());
  }
  return Importer(def).Run();
}

std::unique_ptr<Graph> GraphFromDefText(const std::string& text) {
  proto::GraphDef def;
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &def)) {
    throw InvalidArgumentError("[GraphDef] the text is no GraphDef message: {}", error.text);
  }
  return Importer(def).Run();
}

}  // namespace tributary

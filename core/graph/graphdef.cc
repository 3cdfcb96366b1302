#include "core/graph/graphdef.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include "core/base/strings.h"
#include "core/graph/graph_import.h"
#include "core/proto/graph.pb.h"
#include "core/tensor/proto.h"

namespace tributary {
namespace {

proto::DataType ToProto(DType dtype) { return static_cast<proto::DataType>(dtype); }

// One overload for each alternative of AttrValue.
struct AttrWriter {
  proto::AttrValue* out;

  void operator()(std::monostate) const {}
  void operator()(int64_t v) const { out->set_i(v); }
  void operator()(float v) const { out->set_f(v); }
  void operator()(bool v) const { out->set_b(v); }
  void operator()(const std::string& v) const { out->set_s(v); }
  void operator()(DType v) const { out->set_type(ToProto(v)); }
  void operator()(const Shape& v) const { ShapeToProto(v, out->mutable_shape()); }
  void operator()(const Tensor& v) const { TensorToProto(v, out->mutable_tensor()); }
  void operator()(const std::vector<int64_t>& v) const {
    for (const int64_t i : v) List()->add_i(i);
  }
  void operator()(const std::vector<float>& v) const {
    for (const float f : v) List()->add_f(f);
  }
  void operator()(const std::vector<std::string>& v) const {
    for (const std::string& s : v) List()->add_s(s);
  }
  void operator()(const std::vector<DType>& v) const {
    for (const DType d : v) List()->add_type(ToProto(d));
  }
  void operator()(const std::vector<Shape>& v) const {
    for (const Shape& s : v) ShapeToProto(s, List()->add_shape());
  }

 private:
  proto::AttrValue::ListValue* List() const { return out->mutable_list(); }
};

void WriteNode(const Node& node, proto::NodeDef* def) {
  def->set_name(node.name());
  def->set_op(node.op());
  def->set_device(node.device());
  for (const Tensor& input : node.inputs()) {
    const std::string& from = input.node()->name();
    def->add_input(input.index() ? fmt::format("{}:{}", from, input.index()) : from);
  }
  for (const Node* control : node.control_inputs()) def->add_input("^" + control->name());
  for (const auto& [name, value] : node.attrs()) {
    proto::AttrValue& attr = (*def->mutable_attr())[name];
    // An empty list still says that it is a list.
    if (StartsWith(value.TypeName(), "list(")) attr.mutable_list();
    std::visit(AttrWriter{&attr}, value.value());
  }
}

proto::GraphDef ToGraphDef(const Graph& graph) {
  proto::GraphDef def;
  for (const auto& node : graph.nodes()) WriteNode(*node, def.add_node());
  def.mutable_versions()->set_producer(kGraphDefProducer);
  return def;
}

}  // namespace

std::string GraphDefBytes(const Graph& graph) {
  const proto::GraphDef def = ToGraphDef(graph);
  if (def.ByteSizeLong() > size_t{INT32_MAX}) {
    throw FailedPreconditionError("[GraphDef] {} bytes exceed protobuf's 2 GiB; keep large "
                                  "constants in variables",
                                  def.ByteSizeLong());
  }
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);  // map entries in order of their keys
    def.SerializeToCodedStream(&coded);
  }
  return bytes;
}

std::string GraphDefText(const Graph& graph) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(ToGraphDef(graph), &text);
  return text;
}

std::unique_ptr<Graph> GraphFromGraphDef(const std::string& bytes) {
  proto::GraphDef def;
  if (!def.ParseFromString(bytes)) {
    throw DataLossError("[GraphDef] {} bytes are no GraphDef message", bytes.size());
  }
  return ImportGraphDef(def);
}

}  // namespace tributary

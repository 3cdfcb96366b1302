#include "core/graph/graphdef.h"

#include "core/proto/graph.pb.h"
#include "core/runtime/execute.h"
#include "core/runtime/variable.h"
#include "ops/ops.h"

namespace tributary {
namespace {

std::unique_ptr<Graph> SmallGraph() {
  auto graph = std::make_unique<Graph>();
  GraphScope scope(graph.get());
  const Tensor x = graph->Placeholder(DType::kFloat32, {-1, 2}, "x");
  const auto w = Variable::Create("w", Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2}));
  const Tensor y = ops::MatMul(x, w->value());
  Node* last = ops::Relu(y).node();
  last->AddControlInput(x.node());
  return graph;
}

TEST(GraphDef, SurvivesTheRoundTrip) {
  const auto graph = SmallGraph();
  const std::string bytes = GraphDefBytes(*graph);
  const auto copy = GraphFromDef(bytes);
  EXPECT_EQ(GraphDefBytes(*copy), bytes);
  EXPECT_EQ(copy->nodes().back()->output(0).shape, (Shape{-1, 2}));
}

TEST(GraphDef, TextUsesTensorFlowsNames) {
  const std::string text = GraphDefText(*SmallGraph());
  EXPECT_THAT(text, testing::HasSubstr("op: \"ReadVariableOp\""));
  EXPECT_THAT(text, testing::HasSubstr("input: \"^x\""));
  EXPECT_THAT(text, testing::HasSubstr("producer: 1394"));
}

// What a change to the message of the small graph is answered with.
std::string ErrorAfter(const std::function<void(proto::GraphDef&)>& change) {
  proto::GraphDef def;
  def.ParseFromString(GraphDefBytes(*SmallGraph()));
  change(def);
  try {
    GraphFromDef(def.SerializeAsString());
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(GraphDef, RefusesWhatIsNoGraph) {
  EXPECT_THROW(GraphFromDef("\xff\xff\xff not a message"), DataLossError);
  EXPECT_THAT(ErrorAfter([](auto& def) { def.mutable_node(0)->set_op("MatMull"); }),
              testing::HasSubstr("did you mean 'MatMul'?"));
  EXPECT_THAT(ErrorAfter([](auto& def) { *def.add_node() = def.node(0); }),
              testing::HasSubstr("used twice"));
  EXPECT_THAT(ErrorAfter([](auto& def) { def.mutable_node(3)->set_input(0, "nowhere"); }),
              testing::HasSubstr("does not exist"));
  EXPECT_THAT(ErrorAfter([](auto& def) { def.mutable_node(3)->set_input(0, "x:7"); }),
              testing::HasSubstr("does not exist"));
  EXPECT_THAT(ErrorAfter([](auto& def) { def.mutable_node(3)->set_input(0, "Relu"); }),
              testing::HasSubstr("cycle"));
  EXPECT_THAT(ErrorAfter([](auto& def) {
                for (auto& node : *def.mutable_node()) {
                  if (node.op() != "VarHandleOp") continue;
                  auto* dim = (*node.mutable_attr())["shape"].mutable_shape()->add_dim();
                  dim->set_size(int64_t{1} << 40);
                }
              }),
              testing::HasSubstr("too large"));
}

}  // namespace
}  // namespace tributary

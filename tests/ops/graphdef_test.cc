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

std::unique_ptr<Graph> RandomGraph() {
  auto graph = std::make_unique<Graph>();
  GraphScope scope(graph.get());
  const Tensor key = graph->Placeholder(DType::kInt64, {1}, "key");
  const Tensor y = ops::StatelessRandomUniformV2({4}, key, Tensor::FromVector<int64_t>({1, 2}));
  ops::Mul(y, y).node()->AddControlInput(y.node());
  return graph;
}

TEST(GraphDef, KeysOfRandomOpsPassThroughABitcastToUint64) {
  const std::string bytes = GraphDefBytes(*RandomGraph());
  proto::GraphDef def;
  ASSERT_TRUE(def.ParseFromString(bytes));
  const auto random = std::find_if(def.node().begin(), def.node().end(), [](const auto& node) {
    return node.op() == "StatelessRandomUniformV2";
  });
  ASSERT_NE(random, def.node().end());
  const auto cast = std::find_if(def.node().begin(), def.node().end(),
                                 [&](const auto& node) { return node.name() == random->input(1); });
  ASSERT_NE(cast, def.node().end());
  EXPECT_EQ(cast->op(), "Bitcast");
  EXPECT_EQ(cast->input(0), "key");
  EXPECT_EQ(cast->attr().at("type").type(), proto::DT_UINT64);
  // Read back it is what it was.
  const auto copy = GraphFromDef(bytes);
  EXPECT_EQ(copy->nodes().size(), RandomGraph()->nodes().size());
  EXPECT_EQ(GraphDefBytes(*copy), bytes);
}

TEST(GraphDef, RefusesUint64WhereItIsComputedWith) {
  const auto error = [](const std::function<void(proto::GraphDef&)>& change) -> std::string {
    proto::GraphDef def;
    def.ParseFromString(GraphDefBytes(*RandomGraph()));
    change(def);
    try {
      GraphFromDef(def.SerializeAsString());
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  const auto each_cast = [](proto::GraphDef& def, const auto& change) {
    for (auto& node : *def.mutable_node()) {
      if (node.op() == "Bitcast") change(node);
    }
  };
  EXPECT_THAT(error([](auto& def) {
                auto* node = def.add_node();
                node->set_name("use");
                node->set_op("Identity");
                node->add_input("StatelessRandomUniformV2/uint64_1");
              }),
              testing::HasSubstr("input 0 is uint64"));
  EXPECT_THAT(error([&](auto& def) {
                each_cast(def, [](auto& node) { node.set_input(0, node.name()); });
              }),
              testing::HasSubstr("a Bitcast to uint64"));
  EXPECT_THAT(error([&](auto& def) {
                each_cast(def, [](auto& node) { node.clear_input(); });
              }),
              testing::HasSubstr("a Bitcast to uint64"));
  // To wait for one is to wait for what it reads.
  EXPECT_EQ(error([](auto& def) {
              def.mutable_node(def.node_size() - 1)->add_input("^StatelessRandomUniformV2/uint64_1");
            }),
            "no error");
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

#include "core/graph/graphdef.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/core/runtime/test_ops.h"

namespace tributary {
namespace {

using namespace testing_ops;
using testing::HasSubstr;

std::unique_ptr<Graph> Example() {
  auto graph = std::make_unique<Graph>();
  GraphScope scope(graph.get());
  const Tensor x = graph->Placeholder(DType::kFloat32, {-1, 2}, "x");
  const auto v = Variable::Create("layer/w", Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2}));
  const Tensor y = MatMul(x, v->value(), "layer/MatMul");
  const Tensor z = Execute1(
      "TestAttrs", {y},
      {{"i", 3}, {"f", 0.25f}, {"b", true}, {"s", "text"}, {"shape", Shape{-1, 2}},
       {"ints", std::vector<int64_t>{1, -2}}, {"floats", std::vector<float>{0.5f}},
       {"strings", std::vector<std::string>{"a", ""}},
       {"types", std::vector<DType>{DType::kInt32, DType::kResource}},
       {"shapes", std::vector<Shape>{Shape{}, Shape::UnknownRank(), Shape{1, -1}}},
       {"_note", "free"}});
  Node* last = graph->AddNode("NoOp", {}, {}, "last", {z.node()});
  last->set_device("/device:CPU:0");
  graph->Constant(Tensor::FromVector<std::string>({"a", "bc"}), "words");
  return graph;
}

TEST(GraphDefTest, RoundTripsEveryKindOfAttribute) {
  const auto graph = Example();
  const std::string bytes = GraphDefBytes(*graph);
  const auto back = GraphFromDef(bytes);
  ASSERT_EQ(back->nodes().size(), graph->nodes().size());
  for (size_t i = 0; i < graph->nodes().size(); ++i) {
    const Node& a = *graph->nodes()[i];
    const Node& b = *back->nodes()[i];
    EXPECT_EQ(a.name(), b.name());
    EXPECT_EQ(a.op(), b.op());
    EXPECT_EQ(a.device(), b.device());
    EXPECT_EQ(a.attrs().ToString(), b.attrs().ToString());
    EXPECT_EQ(a.outputs(), b.outputs());
    EXPECT_EQ(a.control_inputs().size(), b.control_inputs().size());
  }
  EXPECT_EQ(GraphDefBytes(*back), bytes);
  EXPECT_EQ(GraphDefBytes(*GraphFromDefText(GraphDefText(*graph))), bytes);
}

TEST(GraphDefTest, TextReadsLikeTensorFlows) {
  const std::string text = GraphDefText(*Example());
  EXPECT_THAT(text, HasSubstr("name: \"layer/MatMul\""));
  EXPECT_THAT(text, HasSubstr("input: \"^TestAttrs\""));
  EXPECT_THAT(text, HasSubstr("type: DT_FLOAT"));
  EXPECT_THAT(text, HasSubstr("producer: 1394"));
}

TEST(GraphDefTest, OutputShapesAreWrittenOnRequest) {
  const auto graph = Example();
  const std::string text = GraphDefText(*graph, {.output_shapes = true});
  EXPECT_THAT(text, HasSubstr("_output_shapes"));
  EXPECT_EQ(GraphDefBytes(*GraphFromDefText(text)), GraphDefBytes(*graph));
}

TEST(GraphDefTest, NodesMayComeInAnyOrder) {
  const auto graph = GraphFromDefText(R"(
    node { name: "y" op: "TestNeg" input: "x" attr { key: "T" value { type: DT_FLOAT } } }
    node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } })");
  EXPECT_EQ(graph->nodes()[0]->name(), "x");
  EXPECT_EQ(graph->nodes()[1]->input(0).node(), graph->nodes()[0].get());
}

constexpr char kX[] =
    R"(node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } })";

// What is refused, and what the message must name.
struct Hostile {
  std::string name, text, message;
};
class HostileGraphDefTest : public testing::TestWithParam<Hostile> {};

TEST_P(HostileGraphDefTest, IsRefused) {
  try {
    GraphFromDefText(kX + GetParam().text);
    FAIL() << "was accepted";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr(GetParam().message));
    EXPECT_NE(e.code(), Code::kInternal);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Texts, HostileGraphDefTest,
    testing::Values(
        Hostile{"Duplicate", R"(node { name: "x" op: "NoOp" })", "used twice"},
        Hostile{"BadName", R"(node { name: "a b" op: "NoOp" })", "'a b'"},
        Hostile{"NoName", R"(node { op: "NoOp" })", "invalid name"},
        Hostile{"UnknownOp", R"(node { name: "n" op: "TestNegg" })", "TestNeg"},
        Hostile{"UnknownInput", R"(node { name: "n" op: "TestNeg" input: "q" })", "'q'"},
        Hostile{"UnknownControl", R"(node { name: "n" op: "NoOp" input: "^q" })", "'q'"},
        Hostile{"OutputOutOfRange", R"(node { name: "n" op: "TestNeg" input: "x:1" })",
                "'x:1' does not exist"},
        Hostile{"OutputHuge", R"(node { name: "n" op: "TestNeg" input: "x:99999999999" })",
                "x:99999999999"},
        Hostile{"OutputNegative", R"(node { name: "n" op: "TestNeg" input: "x:-1" })", "x:-1"},
        Hostile{"DataAfterControl",
                R"(node { name: "n" op: "TestNeg" input: "^x" input: "x" })", "after a control"},
        Hostile{"SelfLoop", R"(node { name: "n" op: "TestNeg" input: "n" })", "cycle"},
        Hostile{"Cycle",
                R"(node { name: "a" op: "TestNeg" input: "b" }
                   node { name: "b" op: "TestNeg" input: "a" })",
                "cycle"},
        Hostile{"TooManyInputs", R"(node { name: "n" op: "TestNeg" input: "x" input: "x" })",
                "'n'"},
        Hostile{"WrongAttrType",
                R"(node { name: "n" op: "TestNeg" input: "x"
                     attr { key: "T" value { i: 1 } } })",
                "'T'"},
        Hostile{"WrongDType",
                R"(node { name: "n" op: "TestNeg" input: "x"
                     attr { key: "T" value { type: DT_INT32 } } })",
                "float32"},
        Hostile{"UnsupportedDType",
                R"(node { name: "n" op: "Placeholder"
                     attr { key: "dtype" value { type: DT_COMPLEX64 } } })",
                "DT_COMPLEX64"},
        Hostile{"UnknownAttr",
                R"(node { name: "n" op: "TestNeg" input: "x"
                     attr { key: "beta" value { f: 2 } } })",
                "beta"},
        Hostile{"Function",
                R"(node { name: "n" op: "TestNeg" input: "x"
                     attr { key: "_f" value { func { name: "g" } } } })",
                "func"},
        Hostile{"NegativeDimension",
                R"(node { name: "n" op: "Placeholder"
                     attr { key: "dtype" value { type: DT_FLOAT } }
                     attr { key: "shape" value { shape { dim { size: -7 } } } } })",
                "'shape'"},
        Hostile{"HugeTensor",
                R"(node { name: "n" op: "Const"
                     attr { key: "dtype" value { type: DT_FLOAT } }
                     attr { key: "value" value { tensor { dtype: DT_FLOAT
                       tensor_shape { dim { size: 4611686018427387904 } dim { size: 8 } }
                       float_val: 1 } } } })",
                "'value'"},
        Hostile{"HugeVariable",
                R"(node { name: "n" op: "VarHandleOp"
                     attr { key: "dtype" value { type: DT_FLOAT } }
                     attr { key: "shape" value { shape { dim { size: 1099511627776 } } } } })",
                "too large"},
        Hostile{"Library",
                R"(library { function { signature { name: "g" } } })", "'g'"},
        Hostile{"MissingAttr", R"(node { name: "n" op: "Placeholder" })", "dtype"},
        Hostile{"Text", "node {", "line 1"}),
    [](const auto& info) { return info.param.name; });

TEST(GraphDefTest, AttributesOfNewerProducersMayBeEmpty) {
  const auto graph = GraphFromDefText(std::string(kX) + R"(
    node { name: "n" op: "TestNeg" input: "x" attr { key: "grad_a" value { b: false } } })");
  EXPECT_FALSE(graph->FindNode("n")->attrs().Has("grad_a"));
}

TEST(GraphDefTest, DamagedBytesAreErrorsOrGraphs) {
  const std::string good = GraphDefBytes(*Example());
  std::mt19937 rng(7);
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    std::string bytes = good;
    for (int k = 0; k < 3; ++k) bytes[rng() % bytes.size()] = static_cast<char>(rng());
    if (i % 4 == 0) bytes.resize(rng() % bytes.size());
    try {
      GraphFromDef(bytes);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

// The names that tf.Graph.unique_name gives to the same requests in the same order.
TEST(GraphNames, AreThoseOfTensorFlow) {
  Graph graph;
  std::vector<std::string> names;
  for (const char* name : {"a", "A", "a", "A", "a_1", "B", "b", ".x", "z", "z_1", "z"}) {
    names.push_back(graph.UniqueName(name));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"a", "A_1", "a_2", "A_3", "a_1_1", "B", "b_1", ".x",
                                             "z", "z_1", "z_2"}));
}

TEST(GraphNames, ScopesAndNodesShareThem) {
  Graph graph;
  std::vector<std::string> names = {graph.UniqueName("s")};
  for (const char* scope : {"s", "S", "q"}) {
    graph.PushScope(scope);
    names.push_back(graph.UniqueName("c"));
    graph.PopScope();
  }
  for (const char* name : {"q", "Q", "foo/Bar", "foo/bar", "foo"}) {
    names.push_back(graph.UniqueName(name));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"s", "s_1/c", "S_2/c", "q/c", "q_1", "Q_2", "foo/Bar",
                                             "foo/bar_1", "foo"}));
}

// TensorFlow refuses a whole GraphDef for one name that starts otherwise.
TEST(GraphNames, StartWithALetterADigitOrAPoint) {
  Graph graph;
  EXPECT_EQ(graph.UniqueName("_x"), "x");
  EXPECT_EQ(graph.UniqueName("x"), "x_1");
  EXPECT_EQ(graph.UniqueName("/-y"), "y");
  EXPECT_EQ(graph.UniqueName("__"), "unnamed");
  graph.PushScope("_layer");
  EXPECT_EQ(graph.UniqueName("_inner"), "layer/_inner");
}

}  // namespace
}  // namespace tributary

#include "trainer/checkpoint/trackable.h"

#include "core/base/errors.h"
#include "core/proto/checkpoint.pb.h"

namespace tributary {
namespace {

using testing::ElementsAre;

std::vector<std::string> Keys(const TrackablePtr& root) {
  std::vector<std::string> keys;
  for (const TrackedVariable& v : ListVariables(root)) keys.push_back(v.key);
  return keys;
}

TEST(Trackable, KeysAreTheShortestRoutes) {
  const auto root = Trackable::Container();
  const auto kernel = Trackable::Variable("dense/kernel", Tensor(1.0f));
  root->Add("model/_functional/_operations/1/_kernel", kernel);
  root->Add("model/dense/kernel", kernel);
  root->Add("save_counter", Trackable::Variable("save_counter", Tensor(int64_t{3})));
  EXPECT_THAT(Keys(root), ElementsAre("save_counter/.ATTRIBUTES/VARIABLE_VALUE",
                                      "model/dense/kernel/.ATTRIBUTES/VARIABLE_VALUE"));
}

TEST(Trackable, EdgeNamesAreEscaped) {
  const auto root = Trackable::Container();
  root->edges.push_back({"a/b.c", Trackable::Variable("v", Tensor(1.0f))});
  EXPECT_THAT(Keys(root), ElementsAre("a.Sb..c/.ATTRIBUTES/VARIABLE_VALUE"));
}

TEST(Trackable, OneNameMayNotMeanTwoObjects) {
  const auto root = Trackable::Container();
  const auto v = Trackable::Variable("v", Tensor(1.0f));
  root->Add("a/b", v);
  EXPECT_NO_THROW(root->Add("a/b", v));
  EXPECT_THROW(root->Add("a/b", Trackable::Variable("w", Tensor(1.0f))), InvalidArgumentError);
  EXPECT_EQ(root->Find("a/b"), v);
  EXPECT_EQ(root->Find("a/c"), nullptr);
}

TEST(Trackable, TheGraphMarksWhatLeadsToValues) {
  const auto root = Trackable::Container();
  root->Add("empty", Trackable::Container());
  root->Add("full/v", Trackable::Variable("v", Tensor(1.0f)));
  proto::TrackableObjectGraph graph;
  ASSERT_TRUE(graph.ParseFromString(SerializeObjectGraph(root)));
  ASSERT_EQ(graph.nodes_size(), 4);
  EXPECT_TRUE(graph.nodes(0).has_checkpoint_values().value());
  EXPECT_FALSE(graph.nodes(1).has_checkpoint_values().value());
  EXPECT_TRUE(graph.nodes(2).has_checkpoint_values().value());
  EXPECT_EQ(graph.nodes(3).attributes(0).checkpoint_key(),
            "full/v/.ATTRIBUTES/VARIABLE_VALUE");
}

TEST(Trackable, CyclesAreFine) {
  const auto root = Trackable::Container();
  const auto child = Trackable::Container();
  root->Add("child", child);
  child->Add("parent", root);
  child->Add("v", Trackable::Variable("v", Tensor(1.0f)));
  EXPECT_THAT(Keys(root), ElementsAre("child/v/.ATTRIBUTES/VARIABLE_VALUE"));
  EXPECT_FALSE(SerializeObjectGraph(root).empty());
  child->edges.clear();  // break the cycle of owners
}

TEST(Trackable, MatchingGoesByAnyCommonName) {
  const auto saved = Trackable::Container();
  const auto v = Trackable::Variable("v", Tensor(1.0f));
  saved->Add("model/layer_with_weights-0/kernel", v);
  saved->Add("model/layer-1/kernel", v);
  const auto live = Trackable::Container();
  live->Add("model/layer-1/kernel", Trackable::Variable("v", Tensor(2.0f)));
  live->Add("model/layer-2/kernel", Trackable::Variable("w", Tensor(2.0f)));
  const GraphMatch match = MatchObjectGraph(SerializeObjectGraph(saved), live, "f");
  ASSERT_EQ(match.matched.size(), 1u);
  EXPECT_EQ(match.matched[0].key, "model/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE");
  ASSERT_EQ(match.unmatched.size(), 1u);
  EXPECT_EQ(match.unmatched[0].node->full_name, "w");
}

TEST(Trackable, BrokenGraphsAreRefused) {
  const auto root = Trackable::Container();
  EXPECT_THROW(MatchObjectGraph("\x0f\xff", root, "f"), DataLossError);
  EXPECT_THROW(MatchObjectGraph("", root, "f"), DataLossError);
  proto::TrackableObjectGraph graph;
  auto* child = graph.add_nodes()->add_children();
  child->set_local_name("a");
  for (const int id : {-1, 1, 1 << 30}) {
    child->set_node_id(id);
    EXPECT_THROW(MatchObjectGraph(graph.SerializeAsString(), root, "f"), DataLossError);
  }
}

}  // namespace
}  // namespace tributary

#include "core/runtime/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/graph/graphdef.h"
#include "tests/core/runtime/test_ops.h"

namespace tributary {
namespace {

using namespace testing_ops;
using testing::ElementsAre;
using testing::HasSubstr;

class SessionTest : public testing::Test {
 protected:
  std::shared_ptr<Graph> graph_ = std::make_shared<Graph>();
  GraphScope scope_{graph_.get()};
};

TEST_F(SessionTest, FeedsAndFetchesByName) {
  const Tensor x = graph_->Placeholder(DType::kFloat32, {-1}, "x");
  Execute1("TestNeg", {x}, {}, "y");
  Session session(graph_);
  EXPECT_THAT(session.Run({{"x:0", Floats({1, 2})}}, {"y:0"})[0].ToVector<float>(),
              ElementsAre(-1, -2));
  EXPECT_THAT(session.Run({{"x", Floats({3})}}, {"y"})[0].ToVector<float>(), ElementsAre(-3));
  session.Run({{"x", Floats({4})}}, {"y"});
  EXPECT_EQ(session.plan_count(), 2);
}

TEST_F(SessionTest, FeedsAndFetchesByTensor) {
  const Tensor x = graph_->Placeholder(DType::kFloat32, {2}, "x");
  const Tensor y = Neg(x), z = Add(y, y);
  Session session(graph_);
  const auto out = session.Run({{x, Floats({1, 2})}}, {z, y});
  EXPECT_THAT(out[0].ToVector<float>(), ElementsAre(-2, -4));
  EXPECT_THAT(out[1].ToVector<float>(), ElementsAre(-1, -2));
  // An intermediate tensor can be fed, and what computes it does not run.
  EXPECT_THAT(session.Run({{y, Floats({5, 6})}}, {z})[0].ToVector<float>(), ElementsAre(10, 12));
}

TEST_F(SessionTest, NearNamesAreSuggested) {
  graph_->Placeholder(DType::kFloat32, {2}, "images");
  Session session(graph_);
  try {
    session.Run({}, {"imagse:0"});
    FAIL();
  } catch (const NotFoundError& e) {
    EXPECT_THAT(e.what(), HasSubstr("images"));
  }
  EXPECT_THROW(session.Run({}, {"images:1"}),
               NotFoundError);
  EXPECT_THROW(session.Run({}, {"images:x"}),
               NotFoundError);
}

TEST_F(SessionTest, OnlyWhatIsAskedForRuns) {
  Log().clear();
  const Tensor x = graph_->Placeholder(DType::kFloat32, {1}, "x");
  Effect(x, "not asked for");
  const Tensor y = Effect(x, "asked for");
  Session session(graph_);
  session.Run({{x, Floats({1})}}, {}, {y.node()});
  EXPECT_THAT(Log(), ElementsAre("effect asked for"));
}

// v, an initializer, an update and a read, as a TF1 program writes them.
std::shared_ptr<Graph> VariableProgram() {
  auto graph = std::make_shared<Graph>();
  Node* handle = graph->AddNode("VarHandleOp", {},
                                {{"dtype", DType::kFloat32}, {"shape", Shape{2}},
                                 {"shared_name", "v"}},
                                "v");
  const Tensor initial = graph->Constant(Floats({1, 2}), "initial");
  graph->AddNode("AssignVariableOp", {handle->out(), initial}, {}, "v/Assign");
  Node* read = graph->AddNode("ReadVariableOp", {handle->out()}, {}, "v/Read");
  Node* doubled = graph->AddNode("TestAdd", {read->out(), read->out()}, {}, "doubled");
  graph->AddNode("AssignVariableOp", {handle->out(), doubled->out()}, {}, "update");
  return graph;
}

TEST_F(SessionTest, AGraphFromAFileGetsVariables) {
  Session session(GraphFromDef(GraphDefBytes(*VariableProgram())));
  session.InitializeVariables();
  session.Run({}, {}, {"update"});
  session.Run({}, {}, {"update"});
  EXPECT_THAT(session.Run({}, {"v/Read"})[0].ToVector<float>(), ElementsAre(4, 8));
}

TEST_F(SessionTest, AVariableIsNotReadBeforeItIsAssigned) {
  Session session(VariableProgram());
  try {
    session.Run({}, {"v/Read"});
    FAIL();
  } catch (const FailedPreconditionError& e) {
    EXPECT_THAT(e.what(), HasSubstr("'v'"));
  }
  session.Run({}, {}, {"v/Assign"});
  EXPECT_THAT(session.Run({}, {"v/Read"})[0].ToVector<float>(), ElementsAre(1, 2));
}

TEST_F(SessionTest, TheGraphMayGrow) {
  const Tensor x = graph_->Placeholder(DType::kFloat32, {1}, "x");
  Session session(graph_);
  const Tensor y = Neg(x);
  EXPECT_THAT(session.Run({{x, Floats({1})}}, {y})[0].ToVector<float>(), ElementsAre(-1));
}

}  // namespace
}  // namespace tributary

#include "core/passes/rewrite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/passes/pass.h"
#include "core/runtime/plan.h"
#include "tests/core/runtime/test_ops.h"

namespace tributary {
namespace {

using namespace testing_ops;
using testing::ElementsAre;

// TestNeg(TestAdd(x, y)) -> TestNegAdd(x, y), if the sum is needed nowhere else.
REGISTER_REWRITE("test_neg_add", 50,
                 [](Graph& g, Node* n, const GraphUses& uses) -> std::vector<Tensor> {
                   if (n->op() != "TestNeg") return {};
                   const Tensor& sum = n->input(0);
                   if (sum.node()->op() != "TestAdd" || uses.count(sum.node()) != 1 ||
                       uses.pinned(sum.node())) {
                     return {};
                   }
                   return {g.AddNode("TestNegAdd", sum.node()->inputs(), {}, n->name())->out()};
                 });

// And -(TestNegAdd) -> TestAdd, a second step over the result of the first.
REGISTER_REWRITE("test_neg_neg_add", 51,
                 [](Graph& g, Node* n, const GraphUses& uses) -> std::vector<Tensor> {
                   if (n->op() != "TestNeg") return {};
                   Node* inner = n->input(0).node();
                   if (inner->op() != "TestNegAdd" || uses.count(inner) != 1) return {};
                   return {g.AddNode("TestAdd", inner->inputs())->out()};
                 });

class RewriteTest : public testing::Test {
 protected:
  const PlanReport& Build(const std::vector<Tensor>& fetches,
                          const std::vector<Node*>& targets = {}, bool fuse = true) {
    PlanOptions options;
    options.fuse = fuse;
    options.cse = false;
    plan_ = Plan::Build(graph_, {x_}, {x_.spec()}, fetches, targets, options);
    plan_->BindInput(0, Floats({1, 2}));
    plan_->Run();
    return plan_->report();
  }
  Graph graph_;
  GraphScope scope_{&graph_};
  Tensor x_ = graph_.Placeholder(DType::kFloat32, {2}, "x");
  std::unique_ptr<Plan> plan_;
};

TEST_F(RewriteTest, ReplacesAPattern) {
  const Tensor y = Mul(Neg(Add(x_, x_)), x_);
  const PlanReport& report = Build({y});
  EXPECT_EQ(report.nodes_fused, 2);
  EXPECT_THAT(report.fusions, ElementsAre("TestAdd+TestNeg TestAdd"));
  ASSERT_EQ(report.steps.size(), 2u);
  EXPECT_EQ(report.steps[0].op, "TestNegAdd");
  EXPECT_EQ(report.steps[0].name, "TestAdd");
  EXPECT_THAT(report.steps[0].fused, ElementsAre("TestAdd", "TestNeg"));
  EXPECT_THAT(plan_->output(0).ToVector<float>(), ElementsAre(-2, -8));
  EXPECT_EQ(Build({y}, {}, false).nodes_fused, 0);
  EXPECT_THAT(plan_->output(0).ToVector<float>(), ElementsAre(-2, -8));
}

TEST_F(RewriteTest, WhatWasRewrittenMayBeRewrittenAgain) {
  const Tensor y = Neg(Neg(Add(x_, x_)));
  const PlanReport& report = Build({y});
  EXPECT_EQ(report.steps.size(), 1u);
  EXPECT_THAT(report.fusions, ElementsAre("TestAdd+TestNeg+TestNeg TestAdd"));
  EXPECT_THAT(plan_->output(0).ToVector<float>(), ElementsAre(2, 4));
}

TEST_F(RewriteTest, LeavesWhatIsUsedElsewhere) {
  const Tensor sum = Add(x_, x_);
  EXPECT_EQ(Build({Add(Neg(sum), sum)}).nodes_fused, 0);
}

TEST_F(RewriteTest, LeavesWhatIsFetched) {
  const Tensor sum = Add(x_, x_);
  EXPECT_EQ(Build({Neg(sum), sum}).nodes_fused, 0);
  EXPECT_THAT(plan_->output(1).ToVector<float>(), ElementsAre(2, 4));
}

TEST_F(RewriteTest, AFetchedEndOfAPatternIsReplaced) {
  EXPECT_EQ(Build({Neg(Add(x_, x_))}).nodes_fused, 2);
  EXPECT_THAT(plan_->output(0).ToVector<float>(), ElementsAre(-2, -4));
}

TEST_F(RewriteTest, TheReplacementWaitsForWhatThePatternWaitedFor) {
  Log().clear();
  const Tensor effect = Effect(x_, "before");
  const Tensor sum = Add(x_, x_);
  sum.node()->AddControlInput(effect.node());
  EXPECT_EQ(Build({Neg(sum)}).nodes_fused, 2);
  EXPECT_THAT(Log(), ElementsAre("effect before"));
}

TEST_F(RewriteTest, ControlEdgesFromThePatternMove) {
  const Tensor y = Neg(Add(x_, x_));
  Node* last = graph_.AddNode("NoOp", {}, {}, "last", {y.node()});
  EXPECT_EQ(Build({}, {last}).nodes_fused, 2);
  ASSERT_EQ(plan_->report().steps.size(), 1u);
  EXPECT_EQ(plan_->report().steps[0].op, "TestNegAdd");
}

TEST_F(RewriteTest, RewritesAreSortedByPriority) {
  for (size_t i = 1; i < Rewrites().size(); ++i) {
    EXPECT_LE(Rewrites()[i - 1].priority, Rewrites()[i].priority);
  }
}

}  // namespace
}  // namespace tributary

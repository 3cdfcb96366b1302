#include "core/runtime/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/runtime/test_ops.h"

namespace tributary {
namespace {

using namespace testing_ops;
using testing::ElementsAre;
using testing::HasSubstr;

// A graph under construction and the plan built from it.
class PlanTest : public testing::Test {
 protected:
  void SetUp() override {
    Log().clear();
    options_.fuse = false;  // rewrite_test.cc registers one
  }

  Tensor Input(const Shape& shape, const std::string& name = "x") {
    feeds_.push_back(graph_.Placeholder(DType::kFloat32, shape, name));
    return feeds_.back();
  }
  Plan& Build(const std::vector<Tensor>& fetches, const std::vector<Tensor>& fed,
              const std::vector<Node*>& targets = {}) {
    std::vector<TensorSpec> specs;
    for (const Tensor& t : fed) specs.push_back(t.spec());
    plan_ = Plan::Build(graph_, feeds_, specs, fetches, targets, options_);
    for (size_t i = 0; i < fed.size(); ++i) plan_->BindInput(i, fed[i]);
    return *plan_;
  }
  std::vector<float> Run(const Tensor& fetch, const std::vector<Tensor>& fed) {
    Plan& plan = Build({fetch}, fed);
    plan.Run();
    return plan.output(0).ToVector<float>();
  }
  // Nodes that write into one variable.
  std::vector<Node*> StatefulNodes() {
    std::vector<Node*> nodes;
    for (const auto& node : graph_.nodes()) {
      if (node->schema().stateful) nodes.push_back(node.get());
    }
    return nodes;
  }
  int CountSteps(const std::string& op) {
    int count = 0;
    for (const auto& step : plan_->report().steps) count += step.op == op;
    return count;
  }

  Graph graph_;
  GraphScope scope_{&graph_};
  std::vector<Tensor> feeds_;
  PlanOptions options_;
  std::unique_ptr<Plan> plan_;
};

TEST_F(PlanTest, RunsAGraph) {
  const Tensor x = Input({2});
  const Tensor y = Add(Mul(x, x), Floats({10, 20}));
  EXPECT_THAT(Run(y, {Floats({1, 2})}), ElementsAre(11, 24));
}

TEST_F(PlanTest, RunsAgainWithOtherInputs) {
  const Tensor x = Input({2});
  Plan& plan = Build({Neg(x)}, {Floats({1, 2})});
  const void* address = plan.output(0).raw_data();
  plan.Run();
  EXPECT_THAT(plan.output(0).ToVector<float>(), ElementsAre(-1, -2));
  const float other[] = {3, 4};
  plan.BindInput(0, other);
  plan.Run();
  EXPECT_THAT(plan.output(0).ToVector<float>(), ElementsAre(-3, -4));
  EXPECT_EQ(plan.output(0).raw_data(), address);
}

TEST_F(PlanTest, DropsWhatIsNotNeeded) {
  const Tensor x = Input({2});
  Neg(x);
  Neg(Neg(x));
  Run(Neg(x), {Floats({1, 2})});
  // Three dead nodes; the live one stays.
  EXPECT_EQ(plan_->report().nodes_pruned, 3);
  EXPECT_EQ(plan_->report().steps.size(), 1u);
}

TEST_F(PlanTest, FoldsConstants) {
  const Tensor x = Input({2});
  const Tensor c = Neg(Add(graph_.Constant(Floats({1, 2})), graph_.Constant(Floats({3, 4}))));
  EXPECT_THAT(Run(Add(x, c), {Floats({0, 0})}), ElementsAre(-4, -6));
  EXPECT_EQ(plan_->report().nodes_folded, 2);
  EXPECT_EQ(plan_->report().steps.size(), 1u);
}

TEST_F(PlanTest, FoldsWhatDependsOnShapesOnlyAndInfersFromIt) {
  const Tensor x = Input({-1});
  const Tensor ones = Ones(ShapeOf(x));
  EXPECT_TRUE(ones.shape().unknown_rank());
  EXPECT_THAT(Run(Add(x, ones), {Floats({1, 2, 3})}), ElementsAre(2, 3, 4));
  EXPECT_EQ(plan_->report().nodes_folded, 2);
}

TEST_F(PlanTest, KnowsShapesWithoutFolding) {
  options_.fold = false;
  const Tensor x = Input({-1});
  EXPECT_THAT(Run(Add(x, Ones(ShapeOf(x))), {Floats({1, 2, 3})}), ElementsAre(2, 3, 4));
  EXPECT_EQ(plan_->report().nodes_folded, 0);
  EXPECT_EQ(plan_->report().steps.size(), 3u);
}

TEST_F(PlanTest, MergesEqualSubexpressions) {
  const Tensor x = Input({2}), y = Input({2}, "y");
  const Tensor sum = Mul(Add(x, y), Add(y, x));  // commutative
  EXPECT_THAT(Run(sum, {Floats({1, 2}), Floats({3, 4})}), ElementsAre(16, 36));
  EXPECT_EQ(plan_->report().nodes_merged, 1);
  EXPECT_EQ(CountSteps("TestAdd"), 1);
}

TEST_F(PlanTest, KeepsStatefulNodesApart) {
  const Tensor x = Input({1});
  const Tensor sum = Add(Effect(x, "a"), Effect(x, "a"));
  EXPECT_THAT(Run(sum, {Floats({2})}), ElementsAre(4));
  EXPECT_THAT(Log(), ElementsAre("effect a", "effect a"));
}

TEST_F(PlanTest, ReusesMemory) {
  const Tensor x = Input({1024});
  Tensor y = x;
  for (int i = 0; i < 10; ++i) y = Neg(Add(y, x));
  const std::vector<float> expected = Run(y, {Tensor::Full<float>({1024}, 3.0f)});
  const size_t planned = plan_->report().arena_bytes;
  EXPECT_LE(planned, 2 * 4096u);
  EXPECT_GE(plan_->report().naive_bytes, 20 * 4096u);
  options_.reuse_memory = false;
  EXPECT_EQ(Run(y, {Tensor::Full<float>({1024}, 3.0f)}), expected);
  EXPECT_GT(plan_->report().arena_bytes, planned);
}

TEST_F(PlanTest, NeverWritesIntoFeedsConstantsOrFetches) {
  const Tensor x = Input({2});
  const Tensor c = graph_.Constant(Floats({1, 1}));
  const Tensor a = Add(x, c), b = Neg(a);
  const Tensor fed = Floats({1, 2});
  Plan& plan = Build({a, b, x, c}, {fed});
  for (int i = 0; i < 2; ++i) {
    plan.Run();
    EXPECT_THAT(plan.output(0).ToVector<float>(), ElementsAre(2, 3));
    EXPECT_THAT(plan.output(1).ToVector<float>(), ElementsAre(-2, -3));
    EXPECT_THAT(plan.output(2).ToVector<float>(), ElementsAre(1, 2));
    EXPECT_THAT(plan.output(3).ToVector<float>(), ElementsAre(1, 1));
  }
  EXPECT_THAT(fed.ToVector<float>(), ElementsAre(1, 2));
}

TEST_F(PlanTest, FetchesOutliveThePlan) {
  const Tensor x = Input({2});
  Plan& plan = Build({Neg(x)}, {Floats({1, 2})});
  plan.Run();
  const Tensor y = plan.output(0);
  plan_.reset();
  EXPECT_THAT(y.ToVector<float>(), ElementsAre(-1, -2));
}

TEST_F(PlanTest, ForwardedOutputsAreNotComputed) {
  const Tensor x = Input({2, 2});
  const Tensor y = Neg(Reshape(Reshape(x, {4}), {1, 4}));
  EXPECT_THAT(Run(y, {Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2})}),
              ElementsAre(-1, -2, -3, -4));
  EXPECT_EQ(plan_->report().steps.size(), 1u);
}

TEST_F(PlanTest, SharesScratchOutsideOfAnyTensor) {
  const Tensor x = Input({2, 2});
  const Tensor y = MatMul(MatMul(x, x), x);
  const Tensor eye = Tensor::FromVector<float>({1, 0, 0, 1}, {2, 2});
  EXPECT_THAT(Run(y, {eye}), ElementsAre(1, 0, 0, 1));
  EXPECT_EQ(plan_->report().scratch_bytes, 256u);
}

TEST_F(PlanTest, ReadsVariablesInPlace) {
  const auto v = Variable::Create("v", Floats({1, 2}));
  const Tensor x = Input({2});
  Plan& plan = Build({Add(x, v->value())}, {Floats({10, 10})});
  EXPECT_TRUE(v->pinned());
  EXPECT_EQ(CountSteps("copy"), 0);
  plan.Run();
  EXPECT_THAT(plan.output(0).ToVector<float>(), ElementsAre(11, 12));
  v->Assign(Floats({5, 5}));
  plan.Run();
  EXPECT_THAT(plan.output(0).ToVector<float>(), ElementsAre(15, 15));
  EXPECT_EQ(plan.report().variable_bytes, 8u);
}

TEST_F(PlanTest, AReadThatIsNeededAfterAWriteIsACopy) {
  const auto v = Variable::Create("v", Floats({1, 2}));
  const Tensor x = Input({2});
  const Tensor before = Reshape(v->value(), {2, 1});
  Assign(graph_.Capture(v), x);
  const Tensor after = v->value();
  const Tensor both = Add(Reshape(before, {2}), after);
  Plan& plan = Build({both}, {Floats({10, 20})}, StatefulNodes());
  EXPECT_EQ(CountSteps("copy"), 1);
  plan.Run();
  EXPECT_THAT(plan.output(0).ToVector<float>(), ElementsAre(11, 22));
  EXPECT_THAT(v->storage().ToVector<float>(), ElementsAre(10, 20));
}

TEST_F(PlanTest, AFetchedReadKeepsItsValueOverALaterWrite) {
  const auto v = Variable::Create("v", Floats({1, 2}));
  const Tensor x = Input({2});
  const Tensor before = v->value();
  Assign(graph_.Capture(v), x);
  Plan& plan = Build({before}, {Floats({10, 20})}, StatefulNodes());
  plan.Run();
  EXPECT_THAT(plan.output(0).ToVector<float>(), ElementsAre(1, 2));
  plan.Run();
  EXPECT_THAT(plan.output(0).ToVector<float>(), ElementsAre(10, 20));
}

TEST_F(PlanTest, AnUpdateOfAVariableNeedsNoCopy) {
  const auto v = Variable::Create("v", Floats({1, 2}));
  const Tensor x = Input({2});
  Assign(graph_.Capture(v), Add(v->value(), x));
  Plan& plan = Build({}, {Floats({1, 1})}, StatefulNodes());
  EXPECT_EQ(CountSteps("copy"), 0);
  plan.Run();
  plan.Run();
  EXPECT_THAT(v->storage().ToVector<float>(), ElementsAre(3, 4));
}

TEST_F(PlanTest, VariablesThatShareMemoryAreSeenAsOne) {
  const Tensor storage = Floats({1, 2, 3, 4});
  const auto flat = Variable::Alias("flat", storage, true);
  const auto part = Variable::Alias("part", storage.Slice(1, 3), true);
  const auto other = Variable::Alias("other", storage.Slice(3, 4), true);
  const Tensor x = Input({4});
  const Tensor before = part->value(), untouched = other->value();
  Assign(graph_.Capture(flat), x);
  Assign(graph_.Capture(part), Floats({7, 7}));
  const Tensor changed = Add(before, part->value());
  Plan& plan = Build({changed, flat->value()}, {Floats({10, 20, 30, 40})}, StatefulNodes());
  EXPECT_EQ(CountSteps("copy"), 1);
  plan.Run();
  EXPECT_THAT(plan.output(0).ToVector<float>(), ElementsAre(9, 10));
  EXPECT_THAT(plan.output(1).ToVector<float>(), ElementsAre(10, 7, 7, 40));
}

TEST_F(PlanTest, GradientsAreWrittenStraightIntoTheBucket) {
  std::string asked;
  std::vector<float> memory(64, 7.0f);
  options_.bucket_memory = [&](const std::string& bucket, size_t bytes) {
    asked = fmt::format("{} {}", bucket, bytes);
    return Buffer::Wrap(memory.data(), memory.size() * sizeof(float));
  };
  const Tensor x = Input({2}), y = Input({3}, "y");
  const Tensor bucket = Pack({Neg(Add(x, x)), Mul(y, y)}, "grads");
  Plan& plan = Build({bucket}, {Floats({1, 2}), Floats({1, 2, 3})});
  EXPECT_EQ(asked, "grads 20");
  EXPECT_EQ(memory[0], 0.0f);
  const int before = Launches();
  plan.Run();
  EXPECT_EQ(Launches() - before, 4);
  EXPECT_EQ(plan.output(0).raw_data(), memory.data());
  EXPECT_THAT(plan.output(0).ToVector<float>(), ElementsAre(-2, -4, 1, 4, 9));
  EXPECT_EQ(plan.report().arena_bytes, 0u);
  EXPECT_EQ(plan.report().bucket_bytes, 20u);
}

TEST_F(PlanTest, WhatCanNotBePlacedIsCopiedIntoTheBucket) {
  const Tensor x = Input({2});
  const Tensor fetched = Neg(x), used_later = Add(x, x);
  const Tensor bucket = Pack({x, fetched, used_later, graph_.Constant(Floats({5}))}, "b");
  const Tensor after = Neg(used_later);
  Plan& plan = Build({bucket, fetched, after}, {Floats({1, 2})});
  plan.Run();
  EXPECT_THAT(plan.output(0).ToVector<float>(), ElementsAre(1, 2, -1, -2, 2, 4, 5));
  EXPECT_THAT(plan.output(1).ToVector<float>(), ElementsAre(-1, -2));
  EXPECT_THAT(plan.output(2).ToVector<float>(), ElementsAre(-2, -4));
}

TEST_F(PlanTest, OneBucketHasOneOwner) {
  const Tensor x = Input({2});
  const Tensor a = Pack({Neg(x)}, "b"), b = Pack({Add(x, x)}, "b");
  EXPECT_THROW(Build({a, b}, {Floats({1, 2})}), InvalidArgumentError);
}

TEST_F(PlanTest, PartsOfAConcatenationAreComputedInPlace) {
  const Tensor x = Input({2});
  EXPECT_THAT(Run(Concat({Neg(x), Add(x, x)}), {Floats({1, 2})}), ElementsAre(-1, -2, 2, 4));
  EXPECT_EQ(plan_->report().arena_bytes, 64u);
}

TEST_F(PlanTest, AsynchronousNodesStartEarlyAndFinishLate) {
  const Tensor x = Input({2});
  const Tensor gradient = Neg(x);
  const Tensor loss = Effect(Effect(x, "forward"), "more");
  const Tensor reduced = Async(Add(gradient, gradient), "reduce");
  const Tensor other = Effect(loss, "last");
  const Tensor result = Add(reduced, other);
  EXPECT_THAT(Run(result, {Floats({1, 2})}), ElementsAre(-1, -2));
  // "forward" and "more" have effects of their own and were there first.
  EXPECT_THAT(Log(), ElementsAre("effect forward", "effect more", "start reduce",
                                 "finish reduce", "effect last"));
}

TEST_F(PlanTest, ComputationOverlapsAsynchronousNodes) {
  const Tensor x = Input({2});
  const Tensor a = Async(Neg(x), "a");
  const auto v = Variable::Create("v", Floats({0, 0}));
  const Tensor b = Mul(Add(x, x), x);
  Assign(graph_.Capture(v), b);
  const Tensor c = Async(Neg(b), "c");
  Plan& plan = Build({Add(a, b), c}, {Floats({1, 2})}, StatefulNodes());
  plan.Run();
  std::vector<std::string> order;
  for (const auto& step : plan.report().steps) order.push_back(step.op);
  EXPECT_THAT(order, ElementsAre("TestNeg", "TestAsync", "TestAdd", "TestMul", "TestNeg",
                                 "TestAsync", "TestAssign", "wait", "TestAdd", "wait"));
  EXPECT_THAT(plan.output(0).ToVector<float>(), ElementsAre(1, 6));
  EXPECT_THAT(plan.output(1).ToVector<float>(), ElementsAre(-2, -8));
}

TEST_F(PlanTest, MemoryOfARunningNodeIsNotReused) {
  const Tensor x = Input({2});
  const Tensor a = Async(Neg(x), "a");
  Tensor y = x;
  for (int i = 0; i < 5; ++i) y = Neg(Add(y, y));
  EXPECT_THAT(Run(Add(a, y), {Floats({1, 2})}), ElementsAre(-33, -66));
}

TEST_F(PlanTest, ErrorsNameTheNodeAndKeepTheirType) {
  const Tensor x = Input({1});
  Plan& plan = Build({FailIfNegative(x, "layer/check")}, {Floats({-1})});
  try {
    plan.Run();
    FAIL();
  } catch (const OutOfRangeError& e) {
    EXPECT_STREQ(e.what(), "[TestFail] node layer/check: x is negative");
  }
  plan.BindInput(0, Floats({1}));
  EXPECT_NO_THROW(plan.Run());
}

TEST_F(PlanTest, WaitsForRunningNodesBeforeItThrows) {
  const Tensor x = Input({1});
  const Tensor a = Async(x, "a");
  const Tensor y = Add(FailIfNegative(x, "check"), a);
  Plan& plan = Build({y}, {Floats({-1})});
  EXPECT_THROW(plan.Run(), OutOfRangeError);
  EXPECT_THAT(Log(), ElementsAre("start a", "finish a"));
}

TEST_F(PlanTest, RefusesFeedsThatDoNotFit) {
  const Tensor x = Input({-1, 4}, "images");
  const Tensor y = Neg(x);
  try {
    Build({y}, {Tensor::Zeros(DType::kFloat32, {2, 5})});
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_THAT(e.what(), HasSubstr("images"));
    EXPECT_THAT(e.what(), HasSubstr("(None, 4)"));
    EXPECT_THAT(e.what(), HasSubstr("(2, 5)"));
  }
  Plan& plan = Build({y}, {Tensor::Zeros(DType::kFloat32, {2, 4})});
  EXPECT_THROW(plan.BindInput(0, Tensor::Zeros(DType::kFloat32, {3, 4})), InvalidArgumentError);
  EXPECT_THROW(plan.BindInput(0, Tensor::Zeros(DType::kInt32, {2, 4})), InvalidArgumentError);
  EXPECT_THROW(plan.BindInput(1, Tensor::Zeros(DType::kFloat32, {2, 4})), InvalidArgumentError);
}

TEST_F(PlanTest, NamesAMissingFeed) {
  const Tensor x = Input({2}, "x");
  const Tensor y = graph_.Placeholder(DType::kFloat32, {2}, "labels");
  try {
    Build({Add(x, y)}, {Floats({1, 2})});
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_THAT(e.what(), HasSubstr("'labels'"));
  }
}

TEST_F(PlanTest, DoesNotRunBeforeItsInputsAreBound) {
  const Tensor x = Input({2}, "x");
  auto plan = Plan::Build(graph_, {x}, {x.spec()}, {Neg(x)}, {});
  try {
    plan->Run();
    FAIL();
  } catch (const FailedPreconditionError& e) {
    EXPECT_THAT(e.what(), HasSubstr("x"));
  }
}

TEST_F(PlanTest, AnyTensorCanBeFed) {
  const Tensor x = Input({2});
  const Tensor hidden = Neg(x);
  feeds_ = {hidden};
  EXPECT_THAT(Run(Add(hidden, hidden), {Floats({1, 2})}), ElementsAre(2, 4));
}

TEST_F(PlanTest, AFeedThatNothingUsesIsAccepted) {
  Input({2});
  const Tensor y = Input({1}, "y");
  EXPECT_THAT(Run(Neg(y), {Floats({1, 2}), Floats({3})}), ElementsAre(-3));
}

TEST_F(PlanTest, ShapeErrorsNameTheNode) {
  const Tensor a = Input({-1, -1}, "a"), b = Input({-1, -1}, "b");
  const Tensor y = MatMul(a, b, "dense/MatMul");
  try {
    Build({y}, {Tensor::Zeros(DType::kFloat32, {2, 3}), Tensor::Zeros(DType::kFloat32, {4, 5})});
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_THAT(e.what(), HasSubstr("(2, 3)"));
  }
}

TEST_F(PlanTest, ControlInputsRunFirst) {
  const Tensor x = Input({1});
  const Tensor effect = Effect(x, "first");
  Node* y = graph_.AddNode("TestNeg", {x}, {}, "y", {effect.node()});
  EXPECT_THAT(Run(y->out(), {Floats({1})}), ElementsAre(-1));
  EXPECT_THAT(Log(), ElementsAre("effect first"));
}

TEST_F(PlanTest, TheGraphIsNotChanged) {
  const Tensor x = Input({-1});
  const Tensor y = Add(x, Ones(ShapeOf(x)));
  const size_t nodes = graph_.nodes().size();
  Run(y, {Floats({1, 2})});
  EXPECT_THAT(Run(y, {Floats({1, 2, 3})}), ElementsAre(2, 3, 4));
  EXPECT_EQ(graph_.nodes().size(), nodes);
  EXPECT_EQ(x.node()->output(0).shape, (Shape{-1}));
}

TEST_F(PlanTest, EmptyTensorsRun) {
  const Tensor x = Input({-1});
  EXPECT_THAT(Run(Neg(Add(x, x)), {Tensor::Zeros(DType::kFloat32, {0})}), ElementsAre());
}

}  // namespace
}  // namespace tributary

#include "core/runtime/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/runtime/test_ops.h"

namespace tributary {
namespace {

using namespace testing_ops;
using testing::HasSubstr;
using testing::Not;

PlanReport Example() {
  Graph graph;
  GraphScope scope(&graph);
  const Tensor x = graph.Placeholder(DType::kFloat32, {4}, "x");
  const auto v = Variable::Create("w", Floats({1, 2, 3, 4}));
  const Tensor y = Neg(Add(Reshape(x, {4}), v->value()), "dense/Neg");
  const Tensor z = Async(y, "reduce");
  const auto plan = Plan::Build(graph, {x}, {x.spec()}, {z}, {});
  return plan->report();
}

TEST(ReportTest, BytesReadWell) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(size_t{3} << 30), "3.0 GiB");
}

TEST(ReportTest, TextNamesFusionsMemoryAndSchedule) {
  const std::string text = ReportText(Example(), "step");
  EXPECT_THAT(text, HasSubstr("step: "));
  EXPECT_THAT(text, HasSubstr("TestAdd+TestNeg TestAdd"));
  EXPECT_THAT(text, HasSubstr("naive"));
  EXPECT_THAT(text, HasSubstr("asynchronous"));
  EXPECT_THAT(text, HasSubstr("float32 (4,)"));
  EXPECT_THAT(text, HasSubstr("wait"));
}

TEST(ReportTest, OffsetsAreThoseOfTheArenaOnly) {
  Graph graph;
  GraphScope scope(&graph);
  const Tensor x = graph.Placeholder(DType::kFloat32, {4}, "x");
  const Tensor square = Reshape(Neg(x, "inner"), {2, 2});
  const Tensor packed = Pack({Neg(x, "first"), MatMul(square, square, "second")}, "grads");
  const auto plan = Plan::Build(graph, {x}, {x.spec()}, {packed}, {},
                                {.cse = false, .fuse = false});
  std::map<std::string, bool> in_arena;
  for (const auto& step : plan->report().steps) in_arena[step.name] = step.in_arena;
  EXPECT_FALSE(in_arena.at("first"));
  EXPECT_TRUE(in_arena.at("inner"));
  EXPECT_FALSE(in_arena.at("second"));
  EXPECT_THAT(ReportText(plan->report(), "step"), HasSubstr("outside"));
}

TEST(ReportTest, DotDrawsEdgesThroughViews) {
  const std::string dot = ReportDot(Example(), "st\"ep");
  EXPECT_THAT(dot, HasSubstr("digraph \"st\\\"ep\" {"));
  EXPECT_THAT(dot, HasSubstr("\"x\" -> \"TestAdd\""));
  EXPECT_THAT(dot, HasSubstr("\"w\" -> \"TestAdd\""));
  EXPECT_THAT(dot, HasSubstr("\"TestAdd\" -> \"reduce\""));
  EXPECT_THAT(dot, HasSubstr("style=dashed"));
  EXPECT_THAT(dot, Not(HasSubstr("Reshape")));
}

}  // namespace
}  // namespace tributary

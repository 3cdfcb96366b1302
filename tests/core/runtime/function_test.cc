#include "core/runtime/function.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/runtime/gradients.h"
#include "tests/core/runtime/test_ops.h"

namespace tributary {
namespace {

using namespace testing_ops;
using testing::ElementsAre;
using testing::HasSubstr;
using Tensors = std::vector<Tensor>;

TEST(FunctionTest, TracesOncePerSignature) {
  int traced = 0;
  Function f("f", [&](const Tensors& in) -> Tensors {
    ++traced;
    return {Add(in[0], in[0])};
  });
  EXPECT_THAT(f({Floats({1, 2})})[0].ToVector<float>(), ElementsAre(2, 4));
  EXPECT_THAT(f({Floats({3, 4})})[0].ToVector<float>(), ElementsAre(6, 8));
  EXPECT_EQ(traced, 1);
  EXPECT_THAT(f({Floats({1})})[0].ToVector<float>(), ElementsAre(2));
  EXPECT_EQ(traced, 2);
  EXPECT_EQ(f.trace_count(), 2);
}

TEST(FunctionTest, ResultsBelongToTheCaller) {
  Function f("f", [](const Tensors& in) -> Tensors { return {Neg(in[0]), in[0]}; });
  const Tensors first = f({Floats({1, 2})});
  const Tensors second = f({Floats({3, 4})});
  EXPECT_THAT(first[0].ToVector<float>(), ElementsAre(-1, -2));
  EXPECT_THAT(first[1].ToVector<float>(), ElementsAre(1, 2));
  EXPECT_THAT(second[0].ToVector<float>(), ElementsAre(-3, -4));
}

TEST(FunctionTest, OpenDimensionsShareOneTrace) {
  int traced = 0;
  Function f("f",
             [&](const Tensors& in) -> Tensors {
               ++traced;
               return {Add(in[0], Ones(ShapeOf(in[0])))};
             },
             std::vector<TensorSpec>{{DType::kFloat32, Shape{-1}}});
  EXPECT_THAT(f({Floats({1, 2})})[0].ToVector<float>(), ElementsAre(2, 3));
  EXPECT_THAT(f({Floats({1, 2, 3})})[0].ToVector<float>(), ElementsAre(2, 3, 4));
  EXPECT_EQ(traced, 1);
}

TEST(FunctionTest, ADeclaredSignatureIsKept) {
  Function f("step", [](const Tensors& in) -> Tensors { return {Neg(in[0])}; },
             std::vector<TensorSpec>{{DType::kFloat32, Shape{-1, 2}}});
  try {
    f({Floats({1, 2})});
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_THAT(e.what(), HasSubstr("step"));
    EXPECT_THAT(e.what(), HasSubstr("(None, 2)"));
    EXPECT_THAT(e.what(), HasSubstr("float32 (2,)"));
  }
  EXPECT_THROW(f({}), InvalidArgumentError);
}

TEST(FunctionTest, VariablesAreCaptured) {
  const auto w = Variable::Create("w", Floats({1, 2}));
  Function f("f", [&](const Tensors& in) -> Tensors {
    const Tensor y = Add(in[0], w->value());
    Assign(w->handle(), y);
    return {y};
  });
  EXPECT_THAT(f({Floats({1, 1})})[0].ToVector<float>(), ElementsAre(2, 3));
  EXPECT_THAT(f({Floats({1, 1})})[0].ToVector<float>(), ElementsAre(3, 4));
  EXPECT_THAT(w->storage().ToVector<float>(), ElementsAre(3, 4));
  EXPECT_EQ(f.trace_count(), 1);
}

TEST(FunctionTest, EffectsRunInProgramOrderWithoutBeingFetched) {
  Log().clear();
  Function f("f", [](const Tensors& in) -> Tensors {
    Effect(in[0], "one");
    Effect(in[0], "two");
    return {};
  });
  EXPECT_TRUE(f({Floats({1})}).empty());
  f({Floats({2})});
  EXPECT_THAT(Log(), ElementsAre("effect one", "effect two", "effect one", "effect two"));
}

TEST(FunctionTest, AHandleIsAnArgumentOfItsOwn) {
  const auto a = Variable::Create("a", Floats({1})), b = Variable::Create("b", Floats({5}));
  Function f("f", [](const Tensors& in) -> Tensors {
    Assign(in[0], in[1]);
    return {};
  });
  f({a->handle(), Floats({2})});
  f({b->handle(), Floats({7})});
  EXPECT_THAT(a->storage().ToVector<float>(), ElementsAre(2));
  EXPECT_THAT(b->storage().ToVector<float>(), ElementsAre(7));
}

TEST(FunctionTest, AFunctionInAFunctionIsInlined) {
  Function inner("inner", [](const Tensors& in) -> Tensors { return {Neg(in[0])}; });
  Function outer("outer", [&](const Tensors& in) -> Tensors {
    return {Add(inner({in[0]})[0], inner({in[1]})[0])};
  });
  EXPECT_THAT(outer({Floats({1}), Floats({2})})[0].ToVector<float>(), ElementsAre(-3));
  EXPECT_EQ(inner.trace_count(), 0);
  const auto& trace = outer.trace({{DType::kFloat32, {1}}, {DType::kFloat32, {1}}});
  EXPECT_NE(trace.graph->FindNode("inner/TestNeg"), nullptr);
  EXPECT_NE(trace.graph->FindNode("inner_1/TestNeg"), nullptr);
}

TEST(FunctionTest, ConcreteResultsAreConstants) {
  Function f("f", [](const Tensors&) -> Tensors { return {Floats({4, 2})}; });
  EXPECT_THAT(f({})[0].ToVector<float>(), ElementsAre(4, 2));
}

TEST(FunctionTest, PlansCanBeRunByHand) {
  Function f("f", [](const Tensors& in) -> Tensors { return {Neg(in[0])}; });
  Plan* plan = f.plan({{DType::kFloat32, {2}}});
  EXPECT_EQ(plan, f.plan({{DType::kFloat32, {2}}}));
  const float x[] = {1, 2};
  plan->BindInput(0, x);
  plan->Run();
  EXPECT_THAT(plan->output(0).ToVector<float>(), ElementsAre(-1, -2));
}

TEST(FunctionTest, RunsOpByOpUnderATape) {
  int calls = 0;
  Function f("f", [&](const Tensors& in) -> Tensors {
    ++calls;
    return {Neg(in[0])};
  });
  GradientTape tape;
  const Tensor x = Floats({1, 2});
  tape.Watch(x);
  EXPECT_FALSE(f({x})[0].IsSymbolic());
  f({x});
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(f.trace_count(), 0);
}

TEST(FunctionTest, ATraceThatThrowsIsNotKept) {
  bool fail = true;
  Function f("f", [&](const Tensors& in) -> Tensors {
    if (fail) throw InvalidArgumentError("[body] not now");
    return {Neg(in[0])};
  });
  EXPECT_THROW(f({Floats({1})}), InvalidArgumentError);
  EXPECT_EQ(CurrentGraph(), nullptr);
  fail = false;
  EXPECT_THAT(f({Floats({1})})[0].ToVector<float>(), ElementsAre(-1));
}

}  // namespace
}  // namespace tributary

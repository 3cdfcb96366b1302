// A tape inside a traced function gives what it gives outside of one.

#include "core/runtime/execute.h"
#include "core/runtime/function.h"
#include "core/runtime/gradients.h"
#include "ops/ops.h"

namespace tributary {
namespace {

using Tensors = std::vector<Tensor>;

// x^2 + 3x
Tensor Polynomial(const Tensor& x) { return ops::Add(ops::Square(x), ops::Mul(x, 3.0f)); }

float Call(const Function::Body& body, float x) {
  Function f("f", body);
  return f({Tensor(x)})[0].item<float>();
}

TEST(TapeInTrace, DifferentiatesWithRespectToAnArgument) {
  const auto slope = [](const Tensors& in) -> Tensors {
    GradientTape tape;
    tape.Watch(in[0]);
    const Tensor y = Polynomial(in[0]);
    return {tape.Gradient(y, Tensors{in[0]})[0].dense()};
  };
  EXPECT_EQ(Call(slope, 3), 9);
  EXPECT_EQ(slope({Tensor(3.0f)})[0].item<float>(), 9);  // and outside of a trace
}

TEST(TapeInTrace, DifferentiatesWithRespectToVariables) {
  const auto w = Variable::Create("w", Tensor(5.0f));
  const auto frozen = Variable::Create("frozen", Tensor(7.0f), /*trainable=*/false);
  const auto unused = Variable::Create("unused", Tensor(7.0f));
  Function f("f", [&](const Tensors& in) -> Tensors {
    GradientTape tape;
    const Tensor y =
        ops::Mul(ops::Mul(ops::Square(w->value()), frozen->value()), in[0]);
    const Grads grads =
        tape.Gradient(y, std::vector<std::shared_ptr<Variable>>{w, frozen, unused});
    EXPECT_FALSE(grads[1].defined());
    EXPECT_FALSE(grads[2].defined());
    return {Densify(grads[0])};
  });
  EXPECT_EQ(f({Tensor(2.0f)})[0].item<float>(), 140);
  w->Assign(Tensor(1.0f));
  EXPECT_EQ(f({Tensor(2.0f)})[0].item<float>(), 28);
}

TEST(TapeInTrace, DifferentiatesWithRespectToAHandleArgument) {
  const auto w = Variable::Create("w", Tensor(5.0f));
  Function f("f", [](const Tensors& in) -> Tensors {
    GradientTape tape;
    const Tensor y = ops::Square(ops::ReadVariableOp(in[0]));
    return {Densify(tape.Gradient(y, in)[0])};
  });
  EXPECT_EQ(f({w->handle()})[0].item<float>(), 10);
}

TEST(TapeInTrace, GathersGiveSlices) {
  const auto table = Variable::Create("table", Tensor::Full<float>({4, 2}, 1));
  Function f("f", [&](const Tensors& in) -> Tensors {
    GradientTape tape;
    const Tensor y = ops::Square(ops::ResourceGather(table->handle(), in[0]));
    const Grad grad = tape.Gradient(y, {table})[0];
    EXPECT_TRUE(grad.sparse());
    return {Densify(grad)};
  });
  EXPECT_EQ(f({Tensor::FromVector<int32_t>({1, 1, 3})})[0].ToVector<float>(),
            (std::vector<float>{0, 0, 4, 4, 0, 0, 2, 2}));
}

TEST(TapeInTrace, NestedTapesGiveHigherDerivatives) {
  const auto third = [](const Tensors& in) -> Tensors {
    const Tensor& x = in[0];
    GradientTape a, b, c;
    for (GradientTape* tape : {&a, &b, &c}) tape->Watch(x);
    const Tensor y = ops::Pow(x, 4.0f);
    const Tensor g1 = c.Gradient(y, Tensors{x})[0].dense();
    const Tensor g2 = b.Gradient(g1, Tensors{x})[0].dense();
    return {a.Gradient(g2, Tensors{x})[0].dense()};
  };
  EXPECT_FLOAT_EQ(Call(third, 2), 48);
}

TEST(TapeInTrace, GradientsOfTheGraphAreRecordedToo) {
  const auto second = [](const Tensors& in) -> Tensors {
    GradientTape tape;
    tape.Watch(in[0]);
    const Tensor y = ops::Mul(ops::Square(in[0]), in[0]);
    const Tensor g = Gradients({y}, in)[0].dense();
    return {tape.Gradient(g, in)[0].dense()};
  };
  EXPECT_FLOAT_EQ(Call(second, 2), 12);
}

TEST(TapeInTrace, APersistentTapeServesTwiceAndSeesItsOwnGradients) {
  const auto sum = [](const Tensors& in) -> Tensors {
    GradientTape tape(/*persistent=*/true);
    tape.Watch(in[0]);
    const Tensor y = ops::Square(in[0]);
    const Tensor z = ops::Mul(y, in[0]);
    const Tensor dy = tape.Gradient(y, in)[0].dense();   // 2x
    const Tensor dz = tape.Gradient(z, in)[0].dense();   // 3x^2
    const Tensor ddz = tape.Gradient(dz, in)[0].dense();  // 6x
    return {ops::Add(ops::Add(dy, dz), ddz)};
  };
  EXPECT_FLOAT_EQ(Call(sum, 2), 4 + 12 + 12);
  EXPECT_FLOAT_EQ(sum({Tensor(2.0f)})[0].item<float>(), 4 + 12 + 12);
}

TEST(TapeInTrace, IsUsedOnceUnlessPersistent) {
  const auto twice = [](const Tensors& in) -> Tensors {
    GradientTape tape;
    tape.Watch(in[0]);
    const Tensor y = ops::Square(in[0]);
    tape.Gradient(y, in);
    return {tape.Gradient(y, in)[0].dense()};
  };
  EXPECT_THROW(Call(twice, 1), FailedPreconditionError);
}

TEST(TapeInTrace, KnowsOnlyWhatItWatchedAndRecorded) {
  Function f("f", [](const Tensors& in) -> Tensors {
    const Tensor before = ops::Square(in[0]);
    GradientTape tape;
    EXPECT_FALSE(tape.Gradient(ops::Square(in[1]), Tensors{in[1]})[0].defined());  // no Watch
    GradientTape late;
    late.Watch(in[0]);
    EXPECT_FALSE(late.Gradient(before, Tensors{in[0]})[0].defined());
    GradientTape stopped(/*persistent=*/true);
    stopped.Watch(in[0]);
    const Tensor y = ops::Square(in[0]);
    stopped.Stop();
    EXPECT_FALSE(stopped.Gradient(ops::Square(y), Tensors{in[0]})[0].defined());
    const Tensor self = stopped.Gradient(in[0], Tensors{in[0]})[0].dense();  // one
    return {ops::Add(stopped.Gradient(y, Tensors{in[0]})[0].dense(), self)};
  });
  EXPECT_EQ(f({Tensor(3.0f), Tensor(4.0f)})[0].item<float>(), 7);
}

TEST(TapeInTrace, WatchesValuesThatTheTraceCaptures) {
  const Tensor c(5.0f);
  const Tensor same = ops::Identity(c);  // another tensor on the same memory
  const auto body = [&](const Tensors& in) -> Tensors {
    GradientTape tape;
    tape.Watch(c);
    const Tensor y = ops::Mul(ops::Mul(same, c), in[0]);
    return {tape.Gradient(y, Tensors{c})[0].dense()};
  };
  EXPECT_EQ(Call(body, 3), 15);
  EXPECT_EQ(body({Tensor(3.0f)})[0].item<float>(), 15);
}

TEST(TapeInTrace, TakesAnOutputGradient) {
  const auto body = [](const Tensors& in) -> Tensors {
    GradientTape tape;
    tape.Watch(in[0]);
    const Tensor y = ops::Square(in[0]);
    return {tape.Gradient(y, in, Tensor(10.0f))[0].dense()};
  };
  EXPECT_EQ(Call(body, 3), 60);
}

TEST(TapeInTrace, SeesThroughInlinedFunctions) {
  Function square("square", [](const Tensors& in) -> Tensors { return {ops::Square(in[0])}; });
  const auto body = [&](const Tensors& in) -> Tensors {
    GradientTape tape;
    tape.Watch(in[0]);
    const Tensor y = ops::Mul(square(in)[0], in[0]);
    return {tape.Gradient(y, in)[0].dense()};
  };
  EXPECT_EQ(Call(body, 2), 12);
}

TEST(TapeInTrace, ATapeMayOutliveTheGraphsThatItSaw) {
  const auto w = Variable::Create("w", Tensor(5.0f));
  GradientTape tape;
  for (int i = 0; i < 3; ++i) {
    Function f("f", [&](const Tensors& in) -> Tensors {
      return {ops::Mul(ops::Square(w->value()), in[0])};
    });
    f.plan({{DType::kFloat32, {}}});
  }
  const Tensor y = ops::Square(w->value());
  EXPECT_EQ(Densify(tape.Gradient(y, {w})[0]).item<float>(), 10);
}

TEST(TapeInTrace, AnotherGraphsTensorIsRefused) {
  Graph one, two;
  const Tensor x = one.Placeholder(DType::kFloat32, {});
  GradientTape tape;
  tape.Watch(x);
  const Tensor y = ops::Square(x);
  const Tensor seed = two.Placeholder(DType::kFloat32, {});
  EXPECT_THROW(tape.Gradient(y, Tensors{x}, seed), InvalidArgumentError);
}

}  // namespace
}  // namespace tributary

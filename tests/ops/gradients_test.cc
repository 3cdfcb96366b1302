// Differentiation on real ops: the tape and the graph agree with each other and
// with calculus.

#include "core/runtime/gradients.h"

#include "core/runtime/execute.h"
#include "core/runtime/function.h"
#include "ops/ops.h"

namespace tributary {
namespace {

Tensor Vec(std::vector<float> values) { return Tensor::FromVector(values); }

TEST(GradientTape, DifferentiatesAPolynomial) {
  const Tensor x = Vec({1, 2, 3});
  GradientTape tape;
  tape.Watch(x);
  const Tensor y = ops::Mul(ops::Mul(x, x), x);
  const Grads grads = tape.Gradient(y, std::vector<Tensor>{x});
  EXPECT_EQ(grads[0].dense().ToVector<float>(), (std::vector<float>{3, 12, 27}));
}

TEST(GradientTape, NestedTapesGiveTheSecondDerivative) {
  const Tensor x = Vec({2, -1});
  GradientTape outer;
  outer.Watch(x);
  Tensor first;
  {
    GradientTape inner;
    inner.Watch(x);
    const Tensor y = ops::Mul(ops::Mul(x, x), x);
    first = inner.Gradient(y, std::vector<Tensor>{x})[0].dense();
  }
  const Grads second = outer.Gradient(first, std::vector<Tensor>{x});
  EXPECT_EQ(second[0].dense().ToVector<float>(), (std::vector<float>{12, -6}));
}

TEST(GradientTape, WatchesTrainableVariablesOnly) {
  const auto w = Variable::Create("w", Vec({2, 3}));
  const auto frozen = Variable::Create("frozen", Vec({5, 7}), /*trainable=*/false);
  GradientTape tape;
  const Tensor y = ops::Mul(w->value(), frozen->value());
  const Grads grads =
      tape.Gradient(y, std::vector<std::shared_ptr<Variable>>{w, frozen});
  EXPECT_EQ(grads[0].dense().ToVector<float>(), (std::vector<float>{5, 7}));
  EXPECT_FALSE(grads[1].defined());
}

TEST(GradientTape, RefusesASecondUseUnlessPersistent) {
  const Tensor x = Vec({1});
  GradientTape once;
  once.Watch(x);
  const Tensor y = ops::Mul(x, x);
  once.Gradient(y, std::vector<Tensor>{x});
  EXPECT_THROW(once.Gradient(y, std::vector<Tensor>{x}), FailedPreconditionError);
  GradientTape again(/*persistent=*/true);
  again.Watch(x);
  const Tensor z = ops::Mul(x, x);
  again.Gradient(z, std::vector<Tensor>{x});
  EXPECT_EQ(again.Gradient(z, std::vector<Tensor>{x})[0].dense().ToVector<float>(),
            std::vector<float>{2});
}

TEST(GradientTape, ReshapeViewsAreTensorsOfTheirOwn) {
  const Tensor x = Tensor::FromVector<float>({1, 2, 3, 4}, {2, 2});
  GradientTape tape;
  tape.Watch(x);
  const Tensor flat = ops::Reshape(x, {4});
  const Tensor y = ops::Mul(flat, flat);
  const Tensor g = tape.Gradient(y, std::vector<Tensor>{x})[0].dense();
  EXPECT_EQ(g.shape(), (Shape{2, 2}));
  EXPECT_EQ(g.ToVector<float>(), (std::vector<float>{2, 4, 6, 8}));
}

TEST(Gradients, OfAGraphMatchTheTape) {
  const auto w = Variable::Create("w", Tensor::FromVector<float>({1, -2, 3, 4}, {2, 2}));
  const Tensor x = Tensor::FromVector<float>({1, 2, 3, 4, 5, 6}, {3, 2});
  auto loss = [&](const Tensor& in) {
    return ops::Sum(ops::Tanh(ops::MatMul(in, w->value())), {0, 1});
  };
  Tensor eager;
  {
    GradientTape tape;
    eager = tape.Gradient(loss(x), std::vector<std::shared_ptr<Variable>>{w})[0].dense();
  }
  Function f("gradient", [&](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{Densify(Gradients({loss(in[0])}, {w->handle()})[0])};
  });
  const Tensor traced = f({x})[0];
  for (int i = 0; i < 4; ++i) {
    EXPECT_NEAR(traced.data<float>()[i], eager.data<float>()[i], 1e-6);
  }
}

TEST(Gradients, AreUndefinedWithoutDependence) {
  Graph graph;
  const Tensor x = graph.Placeholder(DType::kFloat32, {2}, "x");
  const Tensor z = graph.Placeholder(DType::kFloat32, {2}, "z");
  EXPECT_FALSE(Gradients({ops::Mul(x, x)}, {z})[0].defined());
}

TEST(Gradients, OfLookupsStaySparseAndDensify) {
  const auto table = Variable::Create("table", Tensor::Zeros(DType::kFloat32, {4, 2}));
  const Tensor ids = Tensor::FromVector<int64_t>({1, 3, 1});
  GradientTape tape;
  const Tensor rows = ops::ResourceGather(table->handle(), ids);
  const Grad grad =
      tape.Gradient(rows, std::vector<std::shared_ptr<Variable>>{table})[0];
  ASSERT_TRUE(grad.sparse());
  EXPECT_EQ(Densify(grad).ToVector<float>(), (std::vector<float>{0, 0, 2, 2, 0, 0, 1, 1}));
}

TEST(Gradients, OfCumprodAreExactAtZeros) {
  const auto gradient = [](std::vector<double> v) {
    const Tensor x = Tensor::FromVector(v);
    GradientTape tape;
    tape.Watch(x);
    return tape.Gradient(ops::Sum(ops::Cumprod(x, 0)), std::vector<Tensor>{x})[0]
        .dense().ToVector<double>();
  };
  EXPECT_EQ(gradient({2, 0, 3}), (std::vector<double>{1, 8, 0}));
  EXPECT_EQ(gradient({2, 0, 0}), (std::vector<double>{1, 2, 0}));
}

TEST(Gradients, OfProdAreExactTwiceAtZeros) {
  const Tensor x = Tensor::FromVector<double>({2, 0, 3, 0});
  GradientTape outer;
  outer.Watch(x);
  Tensor first;
  {
    GradientTape inner;
    inner.Watch(x);
    const Tensor y = ops::Prod(x);
    first = inner.Gradient(y, std::vector<Tensor>{x})[0].dense();
  }
  EXPECT_EQ(first.ToVector<double>(), (std::vector<double>{0, 0, 0, 0}));
  // Of the sum of the first: d2 / dx1 dx3 = 6, the others hold a zero.
  EXPECT_EQ(outer.Gradient(first, std::vector<Tensor>{x})[0].dense().ToVector<double>(),
            (std::vector<double>{0, 6, 0, 6}));
}

TEST(Gradients, OfMaximumAndMinimumGoToTheSecondWithNaN) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& fn : {ops::Maximum, ops::Minimum}) {
    const Tensor x = Tensor::FromVector<float>({1, nan, 2, nan});
    const Tensor y = Tensor::FromVector<float>({nan, 1, 2, nan});
    GradientTape tape;
    tape.Watch(x);
    tape.Watch(y);
    const Grads grads = tape.Gradient(fn(x, y), std::vector<Tensor>{x, y});
    EXPECT_EQ(grads[0].dense().ToVector<float>(), (std::vector<float>{0, 0, 1, 0}));
    EXPECT_EQ(grads[1].dense().ToVector<float>(), (std::vector<float>{1, 1, 0, 1}));
  }
}

// Row 0 takes elements 2 and 2, row 1 elements 0 and 1.
TEST(Gradients, OfGatherInBatchesOfKnownAndUnknownShapes) {
  const Tensor x = Tensor::FromVector<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor indices = Tensor::FromVector<int32_t>({2, 2, 0, 1}, {2, 2});
  const Tensor weights = Tensor::FromVector<float>({1, 10, 100, 1000}, {2, 2});
  const std::vector<float> expected = {0, 0, 11, 100, 1000, 0};
  {
    GradientTape tape;
    tape.Watch(x);
    const Tensor y = ops::Sum(ops::Mul(ops::Gather(x, indices, 1, 1), weights));
    EXPECT_EQ(tape.Gradient(y, std::vector<Tensor>{x})[0].dense().ToVector<float>(), expected);
  }
  for (const Shape& traced : {Shape{2, 3}, Shape{-1, 3}, Shape{2, -1}, Shape{-1, -1}}) {
    const std::vector<TensorSpec> signature = {{DType::kFloat32, traced},
                                               {DType::kInt32, Shape{traced[0], -1}}};
    Function f("f", [&](const std::vector<Tensor>& in) {
      const Tensor y = ops::Sum(ops::Mul(ops::Gather(in[0], in[1], 1, 1), weights));
      return std::vector<Tensor>{Densify(Gradients({y}, {in[0]})[0])};
    }, signature);
    EXPECT_EQ(f({x, indices})[0].ToVector<float>(), expected) << traced.ToString();
  }
}

}  // namespace
}  // namespace tributary

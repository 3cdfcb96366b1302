// Chains of elementwise ops run as one pass and give what they give one by one.

#include "core/runtime/function.h"
#include "core/runtime/gradients.h"
#include "ops/fusion/elementwise_program.h"
#include "ops/ops.h"

namespace tributary {
namespace {

Tensor Waves(const Shape& shape, float step) {
  Tensor t = Tensor::Empty(DType::kFloat32, shape);
  for (int64_t i = 0; i < t.NumElements(); ++i) {
    t.mutable_data<float>()[i] = std::sin(step * static_cast<float>(i) + 0.5f);
  }
  return t;
}

using Body = Function::Body;

int FusedNodes(Function& f, const std::vector<Tensor>& args) {
  std::vector<TensorSpec> specs;
  for (const Tensor& t : args) specs.push_back(t.spec());
  int count = 0;
  for (const auto& step : f.plan(specs)->report().steps) count += step.op == "_FusedElementwise";
  return count;
}

void ExpectFusedEqualsPlain(const Body& body, const std::vector<Tensor>& args, int fused_nodes) {
  PlanOptions plain_options;
  plain_options.fuse = false;
  Function fused("fused", body), plain("plain", body, std::nullopt, plain_options);
  EXPECT_EQ(FusedNodes(fused, args), fused_nodes);
  EXPECT_EQ(FusedNodes(plain, args), 0);
  const auto a = fused(args), b = plain(args);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].ToVector<float>(), b[i].ToVector<float>());
}

TEST(ElementwiseChain, OfSameShapesScalarsAndRows) {
  const auto body = [](const std::vector<Tensor>& in) {
    const Tensor y = ops::Add(ops::Mul(in[0], in[1]), in[2]);
    return std::vector<Tensor>{ops::Tanh(ops::Sub(y, Tensor(0.25f)))};
  };
  for (const int64_t width : {1, 3, 10, 64, 511, 512, 513, 2000}) {
    for (const int64_t rows : {1, 7, 70}) {
      ExpectFusedEqualsPlain(
          body, {Waves({rows, width}, 0.3f), Waves({width}, 0.7f), Waves({rows, width}, 0.9f)}, 1);
    }
  }
}

TEST(ElementwiseChain, StopsWhereSomethingElseReads) {
  const auto body = [](const std::vector<Tensor>& in) {
    const Tensor a = ops::Exp(in[0]);
    const Tensor b = ops::Mul(a, in[0]);
    return std::vector<Tensor>{ops::Sqrt(ops::Square(b)), a};
  };
  ExpectFusedEqualsPlain(body, {Waves({31, 5}, 0.2f)}, 1);
}

TEST(ElementwiseChain, LeavesColumnsAndOtherDTypesAlone) {
  const auto column = [](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{ops::Neg(ops::Exp(ops::Mul(in[0], in[1])))};
  };
  // The product with a column stays; the rest is a chain.
  ExpectFusedEqualsPlain(column, {Waves({6, 4}, 0.2f), Waves({6, 1}, 0.4f)}, 1);
  Function f("f", [](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{ops::Neg(ops::Exp(in[0]))};
  });
  EXPECT_EQ(FusedNodes(f, {Tensor::Zeros(DType::kFloat64, {4})}), 0);
}

TEST(ElementwiseChain, LongChainsAndManyOperands) {
  const auto longest = [](const std::vector<Tensor>& in) {
    Tensor y = in[0];
    for (int i = 0; i < 40; ++i) y = ops::Mul(ops::Sin(y), Tensor(1.01f));
    return std::vector<Tensor>{y};
  };
  const Tensor x = Waves({1000}, 0.1f);
  PlanOptions plain;
  plain.fuse = false;
  EXPECT_EQ(Function("a", longest)({x})[0].ToVector<float>(),
            Function("b", longest, std::nullopt, plain)({x})[0].ToVector<float>());
  const auto wide = [](const std::vector<Tensor>& in) {
    std::vector<Tensor> level = in;
    while (level.size() > 1) {
      std::vector<Tensor> next;
      for (size_t i = 0; i + 1 < level.size(); i += 2) {
        next.push_back(ops::Add(ops::Sin(level[i]), ops::Cos(level[i + 1])));
      }
      level = next;
    }
    return level;
  };
  std::vector<Tensor> many;
  for (int i = 0; i < 32; ++i) many.push_back(Waves({33}, 0.1f * static_cast<float>(i + 1)));
  EXPECT_EQ(Function("a", wide)(many)[0].ToVector<float>(),
            Function("b", wide, std::nullopt, plain)(many)[0].ToVector<float>());
}

TEST(ElementwiseChain, GradientsFuseToo) {
  const auto body = [](const std::vector<Tensor>& in) {
    const Tensor y = ops::Sum(ops::Square(ops::Tanh(ops::Mul(in[0], Tensor(0.5f)))));
    return std::vector<Tensor>{Gradients({y}, {in[0]})[0].dense()};
  };
  const Tensor x = Waves({64, 32}, 0.05f);
  PlanOptions plain;
  plain.fuse = false;
  Function fused("a", body);
  EXPECT_GE(FusedNodes(fused, {x}), 1);
  EXPECT_EQ(fused({x})[0].ToVector<float>(),
            Function("b", body, std::nullopt, plain)({x})[0].ToVector<float>());
}

TEST(ElementwiseProgram, RefusesProgramsThatMakeNoSense) {
  const Shape shape{4};
  const auto make = [&](std::vector<std::string> ops, std::vector<int64_t> args, Shape input) {
    ElementwiseProgram(ops, args, {input}, shape);
  };
  EXPECT_NO_THROW(make({"Exp"}, {0, -1}, shape));
  EXPECT_THROW(make({"Exp"}, {1, -1}, shape), InvalidArgumentError);
  EXPECT_THROW(make({"NoSuchOp"}, {0, -1}, shape), InvalidArgumentError);
  EXPECT_THROW(make({"AddV2"}, {0, -1}, shape), InvalidArgumentError);
  EXPECT_THROW(make({"Exp"}, {0}, shape), InvalidArgumentError);
  EXPECT_THROW(make({"Exp"}, {0, -1}, Shape{3}), InvalidArgumentError);
  EXPECT_THROW(make({}, {}, shape), InvalidArgumentError);
}

}  // namespace
}  // namespace tributary

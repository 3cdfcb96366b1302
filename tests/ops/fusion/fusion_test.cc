// Fused plans compute what plain plans do, and contain the ops that they should.

#include "core/graph/op.h"
#include "core/runtime/execute.h"
#include "core/runtime/function.h"
#include "core/runtime/gradients.h"
#include "ops/nn/sample_tensors.h"
#include "ops/ops.h"

namespace tributary {
namespace {

using Body = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

std::vector<std::string> OpsOf(Plan* plan) {
  std::vector<std::string> names;
  for (const PlanReport::Step& step : plan->report().steps) names.push_back(step.op);
  return names;
}

// Runs with and without fusion, compares, and returns the ops of the fused plan.
std::vector<std::string> CheckFusion(const Body& body, const std::vector<Tensor>& args) {
  PlanOptions plain;
  plain.fuse = false;
  Function fused("fused", body), unfused("unfused", body, std::nullopt, plain);
  const std::vector<Tensor> got = fused(args), expected = unfused(args);
  EXPECT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].shape(), expected[i].shape());
    for (int64_t j = 0; j < got[i].NumElements(); ++j) {
      const float e = expected[i].data<float>()[j];
      EXPECT_NEAR(got[i].data<float>()[j], e, 1e-5 * (1 + std::abs(e)))
          << "output " << i << " at " << j;
    }
  }
  std::vector<TensorSpec> specs;
  for (const Tensor& arg : args) specs.push_back(arg.spec());
  return OpsOf(fused.plan(specs));
}

using testing::Contains;
using testing::Not;

TEST(Fusion, SwallowsBiasAndActivation) {
  const std::vector<Tensor> args{Wave({5, 7}, 0.7f), Wave({7, 19}, 0.3f), Wave({19}, 0.9f)};
  for (const auto& activation : std::vector<std::function<Tensor(const Tensor&)>>{
           [](const Tensor& x) { return x; }, [](const Tensor& x) { return ops::Relu(x); },
           [](const Tensor& x) { return ops::Gelu(x); },
           [](const Tensor& x) { return ops::Tanh(x); },
           [](const Tensor& x) { return ops::Sigmoid(x); },
           [](const Tensor& x) { return ops::LeakyRelu(x, 0.1f); }}) {
    const auto ops_of = CheckFusion(
        [&](const std::vector<Tensor>& in) {
          return std::vector<Tensor>{
              activation(ops::BiasAdd(ops::MatMul(in[0], in[1]), in[2]))};
        },
        args);
    EXPECT_THAT(ops_of, Contains("_FusedMatMul"));
    EXPECT_THAT(ops_of, Not(Contains("BiasAdd")));
  }
}

TEST(Fusion, LeavesAProductThatIsUsedTwice) {
  const auto ops_of = CheckFusion(
      [](const std::vector<Tensor>& in) {
        const Tensor product = ops::MatMul(in[0], in[1]);
        return std::vector<Tensor>{ops::BiasAdd(product, in[2]), product};
      },
      {Wave({5, 7}, 0.7f), Wave({7, 19}, 0.3f), Wave({19}, 0.9f)});
  EXPECT_THAT(ops_of, Contains("MatMul"));
}

TEST(Fusion, OfAPerceptronsStep) {
  const auto ops_of = CheckFusion(
      [](const std::vector<Tensor>& in) {
        const Tensor h = ops::Relu(ops::BiasAdd(ops::MatMul(in[0], in[1]), in[2]));
        const Tensor logits = ops::BiasAdd(ops::MatMul(h, in[3]), in[4]);
        const Tensor labels = ops::Const(Tensor::FromVector<int32_t>({1, 0, 3, 2, 1}));
        const Tensor loss =
            ops::Mean(ops::SparseSoftmaxCrossEntropyWithLogits(logits, labels)[0]);
        std::vector<Tensor> out{loss};
        for (const Grad& g : Gradients({loss}, {in[1], in[2], in[3], in[4]})) {
          out.push_back(Densify(g));
        }
        return out;
      },
      {Wave({5, 7}, 0.7f), Wave({7, 19}, 0.3f), Wave({19}, 0.9f), Wave({19, 4}, 0.4f),
       Wave({4}, 0.2f)});
  EXPECT_THAT(ops_of, Not(Contains("ReluGrad")));
  EXPECT_THAT(ops_of, Not(Contains("Relu")));
}

TEST(Fusion, OfAConvnetsStep) {
  const auto ops_of = CheckFusion(
      [](const std::vector<Tensor>& in) {
        Tensor x = ops::Relu(ops::BiasAdd(ops::Conv2D(in[0], in[1]), in[2]));
        x = ops::MaxPool(x, {2, 2}, {2, 2});
        x = ops::Relu(ops::BiasAdd(ops::Conv2D(x, in[3]), in[4]));
        x = ops::Relu(ops::Conv2D(x, in[3]));
        const Tensor loss = ops::Sum(ops::Mul(x, x));
        std::vector<Tensor> out{loss};
        for (const Grad& g : Gradients({loss}, {in[1], in[2], in[3], in[4]})) {
          out.push_back(Densify(g));
        }
        return out;
      },
      {Wave({2, 16, 16, 1}, 0.7f), Wave({3, 3, 1, 6}, 0.3f, 0.3f), Wave({6}, 0.9f, 0.1f),
       Wave({3, 3, 6, 6}, 0.23f, 0.1f), Wave({6}, 0.2f, 0.1f)});
  EXPECT_THAT(ops_of, Contains("_FusedConv2D"));
  EXPECT_THAT(ops_of, Contains("_FusedConv2DBackpropFilter"));
  EXPECT_THAT(ops_of, Contains("_FusedConv2DBackpropInput"));
  EXPECT_THAT(ops_of, Not(Contains("BiasAddGrad")));
  // The input image is no parameter: its gradient is never computed.
  EXPECT_EQ(std::count(ops_of.begin(), ops_of.end(), "Conv2DBackpropInput") +
                std::count(ops_of.begin(), ops_of.end(), "_FusedConv2DBackpropInput"),
            2);
}

}  // namespace
}  // namespace tributary

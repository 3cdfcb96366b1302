// Every optimizer update against a float64 oracle that follows the formula.

#include "core/base/parallel.h"
#include "core/runtime/variable.h"
#include "ops/update_ops.h"

namespace tributary {
namespace {

constexpr int kSize = 1003;  // not a multiple of any vector
constexpr int kSteps = 5;

Tensor Numbers(float step, float scale, float shift) {
  Tensor t = Tensor::Empty(DType::kFloat32, {kSize});
  for (int i = 0; i < kSize; ++i) {
    t.mutable_data<float>()[i] = scale * std::sin(step * (i + 1)) + shift;
  }
  return t;
}

std::vector<double> Doubles(const Tensor& t) {
  const auto v = t.values<float>();
  return {v.begin(), v.end()};
}

// A variable and slots beside their double twins.
struct State {
  std::vector<std::shared_ptr<Variable>> f;
  std::vector<std::vector<double>> d;
  Tensor h(int i) const { return f[i]->handle(); }
};

State MakeState(int slots, float slot_value) {
  State s;
  for (int i = 0; i <= slots; ++i) {
    const Tensor initial =
        i == 0 ? Numbers(0.37f, 1.0f, 0.0f) : Tensor::Full<float>({kSize}, slot_value);
    s.f.push_back(Variable::Create("v", initial));
    s.d.push_back(Doubles(initial));
  }
  return s;
}

// Runs kSteps steps of both and compares all arrays.
template <typename Op, typename Oracle>
void Check(State s, const Op& op, const Oracle& oracle, double tolerance = 2e-5) {
  for (int step = 1; step <= kSteps; ++step) {
    const Tensor grad = Numbers(0.11f * step, 0.8f, 0.05f);
    op(s, grad, step);
    const auto g = Doubles(grad);
    for (int i = 0; i < kSize; ++i) oracle(s.d, g[i], i, step);
  }
  for (size_t a = 0; a < s.f.size(); ++a) {
    const auto values = s.f[a]->storage().values<float>();
    for (int i = 0; i < kSize; ++i) {
      ASSERT_NEAR(values[i], s.d[a][i], tolerance * (1 + std::abs(s.d[a][i])))
          << "array " << a << " element " << i;
    }
  }
}

const Tensor kRate = Tensor(0.05f);
using Arrays = std::vector<std::vector<double>>;

TEST(Updates, GradientDescentFollowsItsFormula) {
  Check(
      MakeState(0, 0),
      [](State& s, const Tensor& g, int) {
        ops::ResourceApplyGradientDescent(s.h(0), kRate, g);
      },
      [](Arrays& d, double g, int i, int) { d[0][i] -= 0.05 * g; });
}

TEST(Updates, MomentumFollowsItsFormula) {
  for (const bool nesterov : {false, true}) {
    Check(
        MakeState(1, 0),
        [&](State& s, const Tensor& g, int) {
          ops::ResourceApplyMomentum(s.h(0), s.h(1), kRate, g, 0.9f, nesterov);
        },
        [&](Arrays& d, double g, int i, int) {
          d[1][i] = d[1][i] * 0.9 + g;
          d[0][i] -= 0.05 * (nesterov ? g + 0.9 * d[1][i] : d[1][i]);
        });
  }
}

TEST(Updates, KerasMomentumFollowsItsFormula) {
  for (const bool nesterov : {false, true}) {
    Check(
        MakeState(1, 0),
        [&](State& s, const Tensor& g, int) {
          ops::ResourceApplyKerasMomentum(s.h(0), s.h(1), kRate, g, 0.9f, nesterov);
        },
        [&](Arrays& d, double g, int i, int) {
          d[1][i] = d[1][i] * 0.9 - 0.05 * g;
          d[0][i] += nesterov ? 0.9 * d[1][i] - 0.05 * g : d[1][i];
        });
  }
}

TEST(Updates, AdagradFollowsItsFormula) {
  for (const bool update : {true, false}) {
    Check(
        MakeState(1, 0.1f),
        [&](State& s, const Tensor& g, int) {
          ops::ResourceApplyAdagradV2(s.h(0), s.h(1), kRate, 1e-7f, g, update);
        },
        [&](Arrays& d, double g, int i, int) {
          if (update) d[1][i] += g * g;
          d[0][i] -= 0.05 * g / (std::sqrt(d[1][i]) + 1e-7);
        });
  }
}

TEST(Updates, KerasAdagradHasEpsilonInsideOfTheRoot) {
  Check(
      MakeState(1, 0.1f),
      [](State& s, const Tensor& g, int) {
        ops::ResourceApplyKerasAdagrad(s.h(0), s.h(1), kRate, 0.5f, g);
      },
      [](Arrays& d, double g, int i, int) {
        d[1][i] += g * g;
        d[0][i] -= 0.05 * g / std::sqrt(d[1][i] + 0.5);
      });
}

TEST(Updates, RMSPropFollowsItsFormula) {
  Check(
      MakeState(2, 0.5f),
      [](State& s, const Tensor& g, int) {
        ops::ResourceApplyRMSProp(s.h(0), s.h(1), s.h(2), kRate, 0.9f, 0.3f, 1e-3f, g);
      },
      [](Arrays& d, double g, int i, int) {
        d[1][i] = 0.9 * d[1][i] + 0.1 * g * g;
        d[2][i] = 0.3 * d[2][i] + 0.05 * g / std::sqrt(d[1][i] + 1e-3);
        d[0][i] -= d[2][i];
      });
}

TEST(Updates, CenteredRMSPropFollowsItsFormula) {
  Check(
      MakeState(3, 0.0f),
      [](State& s, const Tensor& g, int) {
        ops::ResourceApplyCenteredRMSProp(s.h(0), s.h(1), s.h(2), s.h(3), kRate, 0.9f, 0.3f,
                                          1e-2f, g);
      },
      [](Arrays& d, double g, int i, int) {
        d[1][i] = 0.9 * d[1][i] + 0.1 * g;
        d[2][i] = 0.9 * d[2][i] + 0.1 * g * g;
        d[3][i] =
            0.3 * d[3][i] + 0.05 * g / std::sqrt(d[2][i] - d[1][i] * d[1][i] + 1e-2);
        d[0][i] -= d[3][i];
      });
}

TEST(Updates, AdamFollowsItsFormula) {
  for (const bool nesterov : {false, true}) {
    Check(
        MakeState(2, 0),
        [&](State& s, const Tensor& g, int step) {
          ops::ResourceApplyAdam(s.h(0), s.h(1), s.h(2),
                                 static_cast<float>(std::pow(0.9, step)),
                                 static_cast<float>(std::pow(0.999, step)), kRate, 0.9f,
                                 0.999f, 1e-7f, g, nesterov);
        },
        [&](Arrays& d, double g, int i, int step) {
          d[1][i] = 0.9 * d[1][i] + 0.1 * g;
          d[2][i] = 0.999 * d[2][i] + 0.001 * g * g;
          const double lr =
              0.05 * std::sqrt(1 - std::pow(0.999, step)) / (1 - std::pow(0.9, step));
          const double m = nesterov ? 0.9 * d[1][i] + 0.1 * g : d[1][i];
          d[0][i] -= lr * m / (std::sqrt(d[2][i]) + 1e-7);
        },
        2e-4);  // 1 - 0.999^step loses digits in float
  }
}

TEST(Updates, AdamWDecaysTheWeightsAlone) {
  Check(
      MakeState(2, 0),
      [&](State& s, const Tensor& g, int step) {
        ops::ResourceApplyAdamW(s.h(0), s.h(1), s.h(2),
                                static_cast<float>(std::pow(0.9, step)),
                                static_cast<float>(std::pow(0.99, step)), kRate, 0.9f, 0.99f,
                                1e-7f, 0.1f, g);
      },
      [&](Arrays& d, double g, int i, int step) {
        d[0][i] -= 0.05 * 0.1 * d[0][i];
        d[1][i] = 0.9 * d[1][i] + 0.1 * g;
        d[2][i] = 0.99 * d[2][i] + 0.01 * g * g;
        const double lr =
            0.05 * std::sqrt(1 - std::pow(0.99, step)) / (1 - std::pow(0.9, step));
        d[0][i] -= lr * d[1][i] / (std::sqrt(d[2][i]) + 1e-7);
      },
      2e-4);
}

TEST(Updates, SparseOnesTouchTheirRowsInOrder) {
  const auto var = Variable::Create("v", Tensor::Full<float>({4, 3}, 1.0f));
  const auto accum = Variable::Create("a", Tensor::Full<float>({4, 3}, 0.0f));
  const Tensor grad = Tensor::Full<float>({3, 3}, 2.0f);
  const Tensor rows = Tensor::FromVector<int64_t>({2, 0, 2});
  ops::ResourceSparseApplyMomentum(var->handle(), accum->handle(), 0.1f, grad, rows, 0.5f);
  // Row 2 twice: accum 2, then 3; var 1 - 0.2 - 0.3.
  EXPECT_FLOAT_EQ(accum->storage().data<float>()[2 * 3], 3.0f);
  EXPECT_FLOAT_EQ(var->storage().data<float>()[2 * 3], 0.5f);
  EXPECT_FLOAT_EQ(var->storage().data<float>()[0], 0.8f);
  EXPECT_FLOAT_EQ(var->storage().data<float>()[1 * 3], 1.0f);
  EXPECT_THROW(ops::ResourceSparseApplyMomentum(var->handle(), accum->handle(), 0.1f, grad,
                                                Tensor::FromVector<int32_t>({0, 4, 1}), 0.5f),
               InvalidArgumentError);
}

TEST(Updates, SparseAdagradFollowsTheDenseOne) {
  const auto dense = Variable::Create("v", Tensor::Full<float>({2, 5}, 1.0f));
  const auto dense_accum = Variable::Create("a", Tensor::Full<float>({2, 5}, 0.1f));
  const auto sparse = Variable::Create("v", Tensor::Full<float>({2, 5}, 1.0f));
  const auto sparse_accum = Variable::Create("a", Tensor::Full<float>({2, 5}, 0.1f));
  const Tensor grad = Tensor::Full<float>({2, 5}, 0.3f);
  ops::ResourceApplyAdagradV2(dense->handle(), dense_accum->handle(), 0.1f, 1e-7f, grad);
  ops::ResourceSparseApplyAdagradV2(sparse->handle(), sparse_accum->handle(), 0.1f, 1e-7f,
                                    grad, Tensor::FromVector<int32_t>({1, 0}));
  EXPECT_EQ(dense->storage().ToVector<float>(), sparse->storage().ToVector<float>());
  EXPECT_EQ(dense_accum->storage().ToVector<float>(), sparse_accum->storage().ToVector<float>());
}

TEST(Updates, GiveTheSameBitsForAnyNumberOfThreads) {
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2}) {
    SetNumThreads(threads);
    Tensor initial = Tensor::Full<float>({50'001}, 0.5f);
    const auto var = Variable::Create("v", initial);
    const auto m = Variable::Create("m", Tensor::Full<float>({50'001}, 0.1f));
    const auto v = Variable::Create("v", Tensor::Full<float>({50'001}, 0.2f));
    Tensor grad = Tensor::Empty(DType::kFloat32, {50'001});
    for (int i = 0; i < 50'001; ++i) grad.mutable_data<float>()[i] = std::sin(0.1f * i);
    ops::ResourceApplyAdam(var->handle(), m->handle(), v->handle(), 0.9f, 0.999f, 0.01f, 0.9f,
                           0.999f, 1e-7f, grad);
    results.push_back(var->storage().ToVector<float>());
  }
  SetNumThreads(2);
  EXPECT_EQ(results[0], results[1]);
}

TEST(Updates, RefuseOtherShapesAndDtypes) {
  const auto var = Variable::Create("v", Tensor::Full<float>({4}, 1.0f));
  const auto slot = Variable::Create("a", Tensor::Full<float>({3}, 1.0f));
  const Tensor grad = Tensor::Full<float>({4}, 1.0f);
  EXPECT_THROW(ops::ResourceApplyMomentum(var->handle(), slot->handle(), 0.1f, grad, 0.9f),
               InvalidArgumentError);
  EXPECT_THROW(ops::ResourceApplyGradientDescent(var->handle(), 0.1f,
                                                 Tensor::Full<float>({5}, 1.0f)),
               InvalidArgumentError);
  EXPECT_THROW(ops::ResourceApplyGradientDescent(var->handle(), 0.1,
                                                 Tensor::Full<double>({4}, 1.0)),
               InvalidArgumentError);
}

}  // namespace
}  // namespace tributary

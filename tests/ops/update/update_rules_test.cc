// Every rule by name, dense and over rows, against a float64 oracle of its formula.

#include <gmock/gmock.h>

#include "core/update/update_rule.h"
#include "ops/update_ops.h"
#include "core/runtime/variable.h"

namespace tributary {
namespace {

constexpr int kWidth = 37;  // not a multiple of any vector
constexpr int kRows = 5;
constexpr int kSteps = 1000;

using Doubles = std::vector<double>;
// Updates one unit (a variable or a row): weights, slots[k], gradient, step from 1.
using Oracle =
    std::function<void(Doubles& w, std::vector<Doubles>& slots, const Doubles& g, int step)>;

double Gradient(int step, int row, int i) {
  return 0.8 * std::sin(0.013 * step * (i + 1) + row) + 0.05;
}

double Norm(const Doubles& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}

Oracle Elementwise(std::function<void(double& w, std::vector<double*> s, double g, int t)> fn) {
  return [fn](Doubles& w, std::vector<Doubles>& slots, const Doubles& g, int t) {
    for (size_t i = 0; i < w.size(); ++i) {
      std::vector<double*> s;
      for (Doubles& slot : slots) s.push_back(&slot[i]);
      fn(w[i], s, g[i], t);
    }
  };
}

struct Case {
  std::string rule;
  OptionNode options;
  Oracle oracle;
};

// float32 holds 1 - 0.999^t and such only so well; the oracle takes the same constants.
constexpr double kB1 = 0.9, kB2 = 0.999;

Oracle AdamOracle(double decay) {
  return Elementwise([decay](double& w, std::vector<double*> s, double g, int t) {
    *s[0] += (g - *s[0]) * (1 - kB1);
    *s[1] += (g * g - *s[1]) * (1 - kB2);
    const double lr = 0.01 * std::sqrt(1 - std::pow(kB2, t)) / (1 - std::pow(kB1, t));
    w -= w * decay * 0.01;
    w -= lr * *s[0] / (std::sqrt(*s[1]) + 1e-7);
  });
}

std::vector<Case> Cases() {
  const auto e = [](auto fn) { return Elementwise(fn); };
  using S = std::vector<double*>;
  return {
      {"SGD", OptionNode{{"learning_rate", 0.01}},
       e([](double& w, S, double g, int) { w -= 0.01 * g; })},
      {"SGD", OptionNode{{"learning_rate", 0.01}, {"momentum", 0.9}},
       e([](double& w, S s, double g, int) { w += *s[0] = 0.9 * *s[0] - 0.01 * g; })},
      {"SGD", OptionNode{{"learning_rate", 0.01}, {"momentum", 0.9}, {"nesterov", true}},
       e([](double& w, S s, double g, int) {
         *s[0] = 0.9 * *s[0] - 0.01 * g;
         w += 0.9 * *s[0] - 0.01 * g;
       })},
      {"Adagrad", OptionNode{{"learning_rate", 0.01}},
       e([](double& w, S s, double g, int) {
         *s[0] += g * g;
         w -= 0.01 * g / std::sqrt(*s[0] + 1e-7);
       })},
      {"RowWiseAdagrad", OptionNode{{"learning_rate", 0.01}},
       [](Doubles& w, std::vector<Doubles>& s, const Doubles& g, int) {
         s[0][0] += Norm(g) * Norm(g) / g.size();
         for (size_t i = 0; i < w.size(); ++i) w[i] -= 0.01 * g[i] / (std::sqrt(s[0][0]) + 1e-7);
       }},
      {"RMSprop", OptionNode{{"learning_rate", 0.01}, {"momentum", 0.5}},
       e([](double& w, S s, double g, int) {
         *s[0] = 0.9 * *s[0] + 0.1 * g * g;
         *s[1] = 0.5 * *s[1] + 0.01 * g / std::sqrt(*s[0] + 1e-7);
         w -= *s[1];
       })},
      {"RMSprop", OptionNode{{"learning_rate", 0.01}, {"centered", true}, {"epsilon", 0.01}},
       e([](double& w, S s, double g, int) {
         *s[0] = 0.9 * *s[0] + 0.1 * g * g;
         *s[2] = 0.9 * *s[2] + 0.1 * g;
         *s[1] = 0.01 * g / std::sqrt(*s[0] - *s[2] * *s[2] + 0.01);
         w -= *s[1];
       })},
      {"Adam", OptionNode{{"learning_rate", 0.01}}, AdamOracle(0)},
      {"LazyAdam", OptionNode{{"learning_rate", 0.01}}, AdamOracle(0)},
      {"AdamW", OptionNode{{"learning_rate", 0.01}, {"weight_decay", 0.1}}, AdamOracle(0.1)},
      {"Adadelta", OptionNode{{"learning_rate", 0.5}, {"epsilon", 1e-5}},
       e([](double& w, S s, double g, int) {
         *s[0] = 0.95 * *s[0] + 0.05 * g * g;
         const double delta = -std::sqrt(*s[1] + 1e-5) * g / std::sqrt(*s[0] + 1e-5);
         *s[1] = 0.95 * *s[1] + 0.05 * delta * delta;
         w += 0.5 * delta;
       })},
      {"Ftrl",
       OptionNode{{"learning_rate", 0.1}, {"l1_regularization_strength", 0.02},
                  {"l2_regularization_strength", 0.01}, {"beta", 0.1},
                  {"l2_shrinkage_regularization_strength", 0.005}},
       e([](double& w, S s, double g, int) {
         const double l2 = 0.01 + 0.1 / (2 * 0.1), grown = *s[0] + g * g;
         *s[1] += g + 2 * 0.005 * w - (std::sqrt(grown) - std::sqrt(*s[0])) / 0.1 * w;
         *s[0] = grown;
         w = (std::clamp(*s[1], -0.02, 0.02) - *s[1]) / (std::sqrt(grown) / 0.1 + 2 * l2);
       })},
      {"Lamb", OptionNode{{"learning_rate", 0.01}},
       [](Doubles& w, std::vector<Doubles>& s, const Doubles& g, int t) {
         Doubles step(w.size());
         for (size_t i = 0; i < w.size(); ++i) {
           s[0][i] += (g[i] - s[0][i]) * (1 - kB1);
           s[1][i] += (g[i] * g[i] - s[1][i]) * (1 - kB2);
           step[i] = s[0][i] / (1 - std::pow(kB1, t)) /
                     (std::sqrt(s[1][i] / (1 - std::pow(kB2, t))) + 1e-7);
         }
         const double ratio = Norm(w) > 0 && Norm(step) > 0 ? Norm(w) / Norm(step) : 1;
         for (size_t i = 0; i < w.size(); ++i) w[i] -= 0.01 * ratio * step[i];
       }},
  };
}

float InitialWeight(int row, int i) { return std::sin(0.37f * (i + 1) + 2.0f * row); }

// The rows of a table (weights, slots) and their twins in double.
struct Rows {
  NamedUpdateRule rule;
  int64_t stride = kWidth;
  std::vector<float> memory;
  std::vector<Doubles> weights;
  std::vector<std::vector<Doubles>> slots;

  explicit Rows(const Case& c) : rule(UpdateRules().Make(c.rule, c.options)) {
    for (const RuleSlot& slot : rule.slots) stride += slot.per_row ? 1 : kWidth;
    for (int r = 0; r < kRows; ++r) {
      weights.emplace_back();
      for (int i = 0; i < kWidth; ++i) {
        memory.push_back(InitialWeight(r, i));
        weights[r].push_back(memory.back());
      }
      slots.emplace_back();
      for (const RuleSlot& slot : rule.slots) {
        const int n = slot.per_row ? 1 : kWidth;
        memory.insert(memory.end(), n, slot.initial);
        slots[r].emplace_back(n, slot.initial);
      }
    }
  }
  float* row(int r) { return memory.data() + r * stride; }
  UpdateArrays arrays(int r, const float* grad) {
    float* w = row(r);
    return {.var = w, .slot0 = w + kWidth, .slot1 = w + 2 * kWidth, .slot2 = w + 3 * kWidth,
            .grad = grad};
  }
};

TEST(UpdateRules, FollowTheirFormulasForAThousandSteps) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.rule);
    Rows t(c);
    for (int step = 1; step <= kSteps; ++step) {
      std::vector<float> grads;
      std::vector<float*> rows;
      for (int r = 0; r < kRows; ++r) {
        Doubles g;
        for (int i = 0; i < kWidth; ++i) {
          grads.push_back(static_cast<float>(Gradient(step, r, i)));
          g.push_back(grads.back());
        }
        rows.push_back(t.row(r));
        c.oracle(t.weights[r], t.slots[r], g, step);
      }
      t.rule.update_rows({rows.data(), grads.data(), kRows, kWidth},
                         t.rule.numbers(step, t.rule.learning_rate));
    }
    for (int r = 0; r < kRows; ++r) {
      for (int i = 0; i < kWidth; ++i) {
        ASSERT_NEAR(t.row(r)[i], t.weights[r][i], 2e-5 * (1 + std::abs(t.weights[r][i])))
            << "row " << r << " element " << i;
      }
    }
  }
}

TEST(UpdateRules, GiveRowsTheBitsOfDenseVariables) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.rule);
    Rows together(c), alone(c);
    for (int step = 1; step <= 20; ++step) {
      std::vector<float> grads(kRows * kWidth);
      std::vector<float*> rows;
      for (int r = 0; r < kRows; ++r) {
        for (int i = 0; i < kWidth; ++i) grads[r * kWidth + i] = Gradient(step, r, i);
        rows.push_back(together.row(r));
      }
      const UpdateNumbers numbers = together.rule.numbers(step, 0.01);
      together.rule.update_rows({rows.data(), grads.data(), kRows, kWidth}, numbers);
      for (int r = 0; r < kRows; ++r) {
        const UpdateArrays arrays = alone.arrays(r, grads.data() + r * kWidth);
        if (alone.rule.elementwise) {  // and wherever it is cut
          alone.rule.update(arrays, numbers, 0, 19);
          alone.rule.update(arrays, numbers, 19, kWidth);
        } else {
          alone.rule.update(arrays, numbers, 0, kWidth);
        }
      }
    }
    EXPECT_EQ(together.memory, alone.memory);
  }
}

TEST(UpdateRules, EachRegisteredOneIsTestedHere) {
  std::set<std::string> tested;
  for (const Case& c : Cases()) tested.insert(c.rule);
  const auto names = UpdateRules().Names();
  EXPECT_EQ(tested, std::set<std::string>(names.begin(), names.end()));
}

TEST(UpdateRules, AdamHasTheBitsOfItsOp) {
  const auto rule = UpdateRules().Make("Adam", {{"learning_rate", 0.01}});
  std::vector<float> w(kWidth), m(kWidth), v(kWidth), g(kWidth);
  for (int i = 0; i < kWidth; ++i) w[i] = InitialWeight(0, i);
  const auto var = Variable::Create("w", Tensor::FromVector(w));
  const auto slot_m = Variable::Create("m", Tensor::FromVector(m));
  const auto slot_v = Variable::Create("v", Tensor::FromVector(v));
  for (int step = 1; step <= 10; ++step) {
    for (int i = 0; i < kWidth; ++i) g[i] = Gradient(step, 0, i);
    rule.update({.var = w.data(), .slot0 = m.data(), .slot1 = v.data(), .grad = g.data()},
                rule.numbers(step, 0.01), 0, kWidth);
    ops::ResourceApplyAdam(var->handle(), slot_m->handle(), slot_v->handle(),
                           static_cast<float>(std::pow(0.9, step)),
                           static_cast<float>(std::pow(0.999, step)), 0.01f, 0.9f, 0.999f,
                           1e-7f, Tensor::FromVector(g));
  }
  EXPECT_EQ(w, var->storage().ToVector<float>());
}

}  // namespace
}  // namespace tributary

// The rules of keras.optimizers over the loops of update_loops.h, by name.

#include <cmath>

#include "core/update/update_rule.h"
#include "ops/update/update_loops.h"

namespace tributary {
namespace {

using R = UpdateRule;
using Slots = std::vector<RuleSlot>;
using Numbers = std::function<UpdateNumbers(int64_t step, double learning_rate)>;

NamedUpdateRule Make(const Options& o, R rule, Slots slots, Numbers numbers) {
  NamedUpdateRule r;
  r.name = o.name();
  r.slots = std::move(slots);
  r.learning_rate = o.Float("learning_rate");
  r.numbers = std::move(numbers);
  r.update = FindUpdate(rule);
  r.update_rows = FindUpdateRows(rule);
  r.elementwise = !TakesWhole(rule);
  return r;
}

OptionTable Table(std::string name, std::string doc, double learning_rate,
                  std::vector<OptionSpec> options) {
  options.insert(options.begin(), Opt("learning_rate").Float().Min(0).Default(learning_rate));
  return {std::move(name), std::move(doc), std::move(options)};
}

float F(double x) { return static_cast<float>(x); }

// beta^n; 1 minus it is 1 in float32 long before the bound.
double Power(double beta, int64_t n) {
  return beta <= 0 || static_cast<double>(n) * std::log(beta) < -40
             ? 0
             : std::pow(beta, static_cast<double>(n));
}

NamedUpdateRule MakeSgd(const Options& o) {
  const double momentum = o.Float("momentum");
  if (momentum == 0) {
    return Make(o, R::kGradientDescent, {},
                [](int64_t, double lr) { return UpdateNumbers{.a = F(lr)}; });
  }
  return Make(o, o.Bool("nesterov") ? R::kKerasNesterov : R::kKerasMomentum, {{"momentum"}},
              [momentum](int64_t, double lr) {
                return UpdateNumbers{.a = F(lr), .b = F(momentum)};
              });
}

NamedUpdateRule MakeAdagrad(const Options& o, R rule) {
  const double epsilon = o.Float("epsilon");
  const RuleSlot slot{"accumulator", F(o.Float("initial_accumulator_value")),
                      rule == R::kRowWiseAdagrad};
  return Make(o, rule, {slot}, [epsilon](int64_t, double lr) {
    return UpdateNumbers{.a = F(lr), .b = F(epsilon)};
  });
}

NamedUpdateRule MakeRmsProp(const Options& o) {
  const bool centered = o.Bool("centered");
  Slots slots = {{"velocity"}, {"momentum"}};
  if (centered) slots.push_back({"average_gradient"});
  return Make(o, centered ? R::kCenteredRMSProp : R::kRMSProp, std::move(slots),
              [rho = F(o.Float("rho")), momentum = F(o.Float("momentum")),
               epsilon = F(o.Float("epsilon"))](int64_t, double lr) {
                return UpdateNumbers{.a = F(lr), .b = 1.0f - rho, .c = momentum, .d = epsilon};
              });
}

struct Moments {
  double beta1, beta2, epsilon;
  explicit Moments(const Options& o)
      : beta1(o.Float("beta_1")), beta2(o.Float("beta_2")), epsilon(o.Float("epsilon")) {}
};

// In float32 from the same float32 inputs as the op, so that both give the same bits.
UpdateNumbers AdamNumbers(const Moments& m, int64_t step, double lr, double weight_decay) {
  const float power1 = F(Power(m.beta1, step)), power2 = F(Power(m.beta2, step));
  const float correction = std::sqrt(1.0f - power2) / (1.0f - power1);
  return {.a = F(lr) * correction, .b = 1.0f - F(m.beta1), .c = 1.0f - F(m.beta2),
          .d = F(m.epsilon), .e = 1.0f - F(lr) * F(weight_decay)};
}

NamedUpdateRule MakeAdam(const Options& o, double weight_decay, bool lazy) {
  const Moments m(o);
  NamedUpdateRule rule = Make(o, R::kAdam, {{"momentum"}, {"velocity"}},
                              [m, weight_decay](int64_t step, double lr) {
                                return AdamNumbers(m, step, lr, weight_decay);
                              });
  rule.idle_rows_change = !lazy;
  // The step shrinks by (at least) beta1 / sqrt(beta2) each time.
  const double shrink = m.beta1 / std::sqrt(std::max(m.beta2, 1e-12));
  rule.idle_horizon =
      shrink <= 0 ? 1 : shrink >= 0.99 ? 2048 : std::lround(std::log(1e-9) / std::log(shrink));
  rule.idle_decay = [m](int slot, int64_t k) { return Power(slot == 0 ? m.beta1 : m.beta2, k); };
  return rule;
}

NamedUpdateRule MakeAdadelta(const Options& o) {
  return Make(o, R::kAdadelta, {{"accumulated_grad"}, {"accumulated_delta_var"}},
              [rho = F(o.Float("rho")), epsilon = F(o.Float("epsilon"))](int64_t, double lr) {
                return UpdateNumbers{.a = F(lr), .b = rho, .c = epsilon, .d = 1.0f - rho};
              });
}

NamedUpdateRule MakeFtrl(const Options& o) {
  const double l1 = o.Float("l1_regularization_strength");
  const double l2 = o.Float("l2_regularization_strength");
  const double shrinkage = o.Float("l2_shrinkage_regularization_strength");
  const double beta = o.Float("beta");
  return Make(o, R::kFtrl,
              {{"accumulator", F(o.Float("initial_accumulator_value"))}, {"linear"}},
              [=](int64_t, double lr) {
                return UpdateNumbers{.a = F(1 / lr), .b = F(l1),
                                     .c = F(2 * (l2 + beta / (2 * lr))), .d = F(2 * shrinkage)};
              });
}

NamedUpdateRule MakeLamb(const Options& o) {
  const Moments m(o);
  return Make(o, R::kLamb, {{"momentum"}, {"velocity"}}, [m](int64_t step, double lr) {
    return UpdateNumbers{.a = F(lr), .b = 1.0f - F(m.beta1), .c = 1.0f - F(m.beta2),
                         .d = F(m.epsilon), .e = F(1 / (1 - Power(m.beta1, step))),
                         .f = F(1 / (1 - Power(m.beta2, step)))};
  });
}

std::vector<OptionSpec> MomentOptions() {
  return {Opt("beta_1").Float().Min(0).Below(1).Default(0.9),
          Opt("beta_2").Float().Min(0).Below(1).Default(0.999),
          Opt("epsilon").Float().Above(0).Default(1e-7)};
}

std::vector<OptionSpec> AdamWOptions() {
  std::vector<OptionSpec> options = MomentOptions();
  options.push_back(Opt("weight_decay").Float().Min(0).Default(0.004));
  return options;
}

std::vector<OptionSpec> AdagradOptions() {
  return {Opt("initial_accumulator_value").Float().Min(0).Default(0.1),
          Opt("epsilon").Float().Above(0).Default(1e-7)};
}

#define REGISTER_RULE(...)                                                 \
  [[maybe_unused]] static const ::tributary::UpdateRuleRegistry::Registrar \
      TRB_UNIQUE(trb_rule_)(::tributary::UpdateRules(), __VA_ARGS__)

REGISTER_RULE(Table("SGD", "Gradient descent, with momentum if wanted.", 0.01,
                    {Opt("momentum").Float().Min(0).Max(1).Default(0.0),
                     Opt("nesterov").Bool().Default(false)}),
              MakeSgd);
REGISTER_RULE(Table("Adagrad", "Rates that shrink with the squares of past gradients.", 0.001,
                    AdagradOptions()),
              [](const Options& o) { return MakeAdagrad(o, R::kKerasAdagrad); });
REGISTER_RULE(Table("RowWiseAdagrad", "Adagrad with one accumulator a row.", 0.001,
                    AdagradOptions()),
              [](const Options& o) { return MakeAdagrad(o, R::kRowWiseAdagrad); });
REGISTER_RULE(Table("RMSprop", "Gradients over the root of their running mean square.", 0.001,
                    {Opt("rho").Float().Min(0).Below(1).Default(0.9),
                     Opt("momentum").Float().Min(0).Max(1).Default(0.0),
                     Opt("epsilon").Float().Above(0).Default(1e-7),
                     Opt("centered").Bool().Default(false)}),
              MakeRmsProp);
REGISTER_RULE(Table("Adam", "Adaptive moments; moments of rows without gradients decay too.",
                    0.001, MomentOptions()),
              [](const Options& o) { return MakeAdam(o, 0, false); });
REGISTER_RULE(Table("LazyAdam", "Adam that leaves rows without gradients alone.", 0.001,
                    MomentOptions()),
              [](const Options& o) { return MakeAdam(o, 0, true); });
REGISTER_RULE(Table("AdamW", "Adam with decoupled weight decay.", 0.001, AdamWOptions()),
              [](const Options& o) { return MakeAdam(o, o.Float("weight_decay"), false); });
REGISTER_RULE(Table("Adadelta", "Steps in units of past steps.", 0.001,
                    {Opt("rho").Float().Min(0).Below(1).Default(0.95),
                     Opt("epsilon").Float().Above(0).Default(1e-7)}),
              MakeAdadelta);
REGISTER_RULE(Table("Ftrl", "Follow the regularized leader.", 0.001,
                    {Opt("initial_accumulator_value").Float().Min(0).Default(0.1),
                     Opt("l1_regularization_strength").Float().Min(0).Default(0.0),
                     Opt("l2_regularization_strength").Float().Min(0).Default(0.0),
                     Opt("l2_shrinkage_regularization_strength").Float().Min(0).Default(0.0),
                     Opt("beta").Float().Min(0).Default(0.0)}),
              MakeFtrl);
REGISTER_RULE(Table("Lamb", "Adam whose step is scaled by the norms of each variable or row.",
                    0.001, MomentOptions()),
              MakeLamb);

}  // namespace
}  // namespace tributary

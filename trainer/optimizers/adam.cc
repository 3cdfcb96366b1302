// Adam and AdamW (keras.optimizers; Kingma and Ba 2014, Loshchilov and Hutter 2017).

#include <cmath>

#include "ops/update_ops.h"
#include "trainer/optimizers/optimizer.h"

namespace tributary {
namespace {

class Adam : public Optimizer {
 public:
  explicit Adam(const Options& o)
      : Optimizer(o), beta1_(o.Float("beta_1")), beta2_(o.Float("beta_2")),
        epsilon_(o.Float("epsilon")), power1_(Scalar("beta1_power")),
        power2_(Scalar("beta2_power")) {
    SetScalars(0);
  }

  std::vector<SlotSpec> slots() const final { return {{"momentum"}, {"velocity"}}; }
  bool slots_interleaved() const final { return true; }

  void Update(const Tensor& var, const std::vector<Tensor>& slots,
              const Tensor& gradient) override {
    ops::ResourceApplyAdam(var, slots[0], slots[1], Like(var, power1_), Like(var, power2_),
                           Rate(var), Like(var, beta1_), Like(var, beta2_),
                           Like(var, epsilon_), gradient);
  }

  bool CanUpdateRows() const override { return true; }
  void UpdateRows(const Tensor& var, const std::vector<Tensor>& slots,
                  const ops::RowSlices& gradient) override {
    ops::SparseApply("Adam", {var, slots[0], slots[1]},
                     {Like(var, power1_), Like(var, power2_), Rate(var), Like(var, beta1_),
                      Like(var, beta2_), Like(var, epsilon_), Like(var, weight_decay())},
                     gradient, lazy());
  }

 protected:
  virtual double weight_decay() const { return 0; }
  void SetScalars(int64_t iteration) final {
    Set(power1_, Power(beta1_, iteration + 1));
    Set(power2_, Power(beta2_, iteration + 1));
  }

  double beta1_, beta2_, epsilon_;
  VariablePtr power1_, power2_;

 private:
  // 1 - power is 1 in float32 long before this bound.
  static double Power(double beta, int64_t n) {
    return beta <= 0 || n * std::log(beta) < -40 ? 0 : std::pow(beta, n);
  }
};

class AdamW final : public Adam {
 public:
  explicit AdamW(const Options& o) : Adam(o), decay_(o.Float("weight_decay")) {
    set_name("adamw");
  }

  void Update(const Tensor& var, const std::vector<Tensor>& slots,
              const Tensor& gradient) override {
    ops::ResourceApplyAdamW(var, slots[0], slots[1], Like(var, power1_), Like(var, power2_),
                            Rate(var), Like(var, beta1_), Like(var, beta2_),
                            Like(var, epsilon_), Like(var, decay_), gradient);
  }

 protected:
  double weight_decay() const override { return decay_; }

 private:
  double decay_;
};

std::vector<OptionSpec> AdamOptions() {
  return {Opt("beta_1").Float().Min(0).Below(1).Default(0.9),
          Opt("beta_2").Float().Min(0).Below(1).Default(0.999),
          Opt("epsilon").Float().Above(0).Default(1e-7)};
}

std::vector<OptionSpec> AdamWOptions() {
  std::vector<OptionSpec> options = AdamOptions();
  options.insert(options.begin(), Opt("weight_decay").Float().Min(0).Default(0.004));
  return options;
}

REGISTER_OPTIMIZER(OptimizerTable("Adam", "Adaptive moments.", 0.001, AdamOptions()),
                   [](const Options& o) { return std::make_shared<Adam>(o); });
REGISTER_OPTIMIZER(OptimizerTable("AdamW", "Adam with decoupled weight decay.", 0.001,
                                  AdamWOptions()),
                   [](const Options& o) { return std::make_shared<AdamW>(o); });

}  // namespace
}  // namespace tributary

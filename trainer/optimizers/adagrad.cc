// Adagrad (keras.optimizers.Adagrad; Duchi et al. 2011).

#include "ops/update_ops.h"
#include "trainer/optimizers/optimizer.h"

namespace tributary {
namespace {

class Adagrad final : public Optimizer {
 public:
  explicit Adagrad(const Options& o)
      : Optimizer(o), initial_(o.Float("initial_accumulator_value")),
        epsilon_(o.Float("epsilon")) {}

  std::vector<SlotSpec> slots() const override { return {{"accumulator", initial_}}; }

  void Update(const Tensor& variable, const std::vector<Tensor>& slots,
              const Tensor& gradient) override {
    ops::ResourceApplyKerasAdagrad(variable, slots[0], Rate(variable), Like(variable, epsilon_),
                                   gradient);
  }

  bool CanUpdateRows() const override { return true; }
  void UpdateRows(const Tensor& variable, const std::vector<Tensor>& slots,
                  const ops::RowSlices& gradient) override {
    ops::SparseApply("Adagrad", {variable, slots[0]}, {Rate(variable), Like(variable, epsilon_)},
                     gradient, lazy());
  }

 private:
  double initial_, epsilon_;
};

REGISTER_OPTIMIZER(
    OptimizerTable("Adagrad", "Rates that shrink with the squares of past gradients.", 0.001,
                   {Opt("initial_accumulator_value").Float().Min(0).Default(0.1),
                    Opt("epsilon").Float().Above(0).Default(1e-7)}),
    [](const Options& o) { return std::make_shared<Adagrad>(o); });

}  // namespace
}  // namespace tributary

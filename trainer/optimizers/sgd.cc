// SGD, with momentum and Nesterov's (keras.optimizers.SGD).

#include "ops/update_ops.h"
#include "trainer/optimizers/optimizer.h"

namespace tributary {
namespace {

class Sgd final : public Optimizer {
 public:
  explicit Sgd(const Options& o)
      : Optimizer(o), momentum_(o.Float("momentum")), nesterov_(o.Bool("nesterov")) {}

  std::vector<SlotSpec> slots() const override {
    if (momentum_ == 0) return {};
    return {{"momentum"}};
  }

  void Update(const Tensor& variable, const std::vector<Tensor>& slots,
              const Tensor& gradient) override {
    if (momentum_ == 0) {
      ops::ResourceApplyGradientDescent(variable, Rate(variable), gradient);
    } else {
      ops::ResourceApplyKerasMomentum(variable, slots[0], Rate(variable), gradient,
                                      Like(variable, momentum_), nesterov_);
    }
  }

  bool CanUpdateRows() const override { return true; }
  void UpdateRows(const Tensor& variable, const std::vector<Tensor>& slots,
                  const ops::RowSlices& gradient) override {
    if (momentum_ == 0) {
      ops::SparseApply("GradientDescent", {variable}, {Rate(variable)}, gradient, lazy());
    } else {
      ops::SparseApply("KerasMomentum", {variable, slots[0]},
                       {Rate(variable), Like(variable, momentum_)}, gradient, lazy(),
                       {{"use_nesterov", nesterov_}});
    }
  }

 private:
  double momentum_;
  bool nesterov_;
};

REGISTER_OPTIMIZER(OptimizerTable("SGD", "Gradient descent, with momentum if wanted.", 0.01,
                                  {Opt("momentum").Float().Min(0).Max(1).Default(0.0),
                                   Opt("nesterov").Bool().Default(false)}),
                   [](const Options& o) { return std::make_shared<Sgd>(o); });

}  // namespace
}  // namespace tributary

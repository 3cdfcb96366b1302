// RMSprop, centered if wanted (keras.optimizers.RMSprop).

#include "ops/update_ops.h"
#include "trainer/optimizers/optimizer.h"

namespace tributary {
namespace {

class RmsProp final : public Optimizer {
 public:
  explicit RmsProp(const Options& o)
      : Optimizer(o), rho_(o.Float("rho")), momentum_(o.Float("momentum")),
        epsilon_(o.Float("epsilon")), centered_(o.Bool("centered")) {
    set_name("rmsprop");
  }

  // Without momentum that slot only carries the step itself.
  std::vector<SlotSpec> slots() const override {
    std::vector<SlotSpec> out = {{"velocity"}, {"momentum", 0, momentum_ > 0}};
    if (centered_) out.push_back({"average_gradient"});
    return out;
  }

  void Update(const Tensor& variable, const std::vector<Tensor>& slots,
              const Tensor& gradient) override {
    const Tensor rho = Like(variable, rho_), momentum = Like(variable, momentum_);
    const Tensor epsilon = Like(variable, epsilon_);
    if (centered_) {
      ops::ResourceApplyCenteredRMSProp(variable, slots[2], slots[0], slots[1],
                                        Rate(variable), rho, momentum, epsilon, gradient);
    } else {
      ops::ResourceApplyRMSProp(variable, slots[0], slots[1], Rate(variable), rho, momentum,
                                epsilon, gradient);
    }
  }

  bool CanUpdateRows() const override { return true; }
  void UpdateRows(const Tensor& variable, const std::vector<Tensor>& slots,
                  const ops::RowSlices& gradient) override {
    const std::vector<Tensor> numbers = {Rate(variable), Like(variable, rho_),
                                         Like(variable, momentum_), Like(variable, epsilon_)};
    if (centered_) {
      ops::SparseApply("CenteredRMSProp", {variable, slots[2], slots[0], slots[1]}, numbers,
                       gradient, lazy());
    } else {
      ops::SparseApply("RMSProp", {variable, slots[0], slots[1]}, numbers, gradient, lazy());
    }
  }

 private:
  double rho_, momentum_, epsilon_;
  bool centered_;
};

REGISTER_OPTIMIZER(
    OptimizerTable("RMSprop", "Gradients over the root of their running mean square.", 0.001,
                   {Opt("rho").Float().Min(0).Below(1).Default(0.9),
                    Opt("momentum").Float().Min(0).Max(1).Default(0.0),
                    Opt("epsilon").Float().Above(0).Default(1e-7),
                    Opt("centered").Bool().Default(false)}),
    [](const Options& o) { return std::make_shared<RmsProp>(o); });

}  // namespace
}  // namespace tributary

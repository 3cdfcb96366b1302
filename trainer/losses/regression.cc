// MeanSquaredError and MeanAbsoluteError (keras.losses).

#include "ops/math_ops.h"
#include "trainer/losses/loss.h"
#include "trainer/losses/shapes.h"

namespace tributary {
namespace {

class Regression final : public Loss {
 public:
  Regression(const Options& o, bool squared) : Loss(o), squared_(squared) {}

  Tensor PerExample(const Tensor& y_true, const Tensor& y_pred) const override {
    const Tensor target = losses::TargetLike(y_true, y_pred, options().name());
    const Tensor error = squared_ ? ops::SquaredDifference(y_pred, target)
                                  : ops::Abs(ops::Sub(y_pred, target));
    return error.rank() < 2 ? error : ops::Mean(error, {-1});
  }

 private:
  bool squared_;
};

REGISTER_LOSS(OptionTable{"MeanSquaredError", "Mean of squared differences.", {}, {"mse"}},
              [](const Options& o) { return std::make_shared<Regression>(o, true); });
REGISTER_LOSS(OptionTable{"MeanAbsoluteError", "Mean of absolute differences.", {}, {"mae"}},
              [](const Options& o) { return std::make_shared<Regression>(o, false); });

}  // namespace
}  // namespace tributary

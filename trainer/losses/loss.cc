#include "trainer/losses/loss.h"

#include "ops/math_ops.h"

namespace tributary {

std::string Loss::name() const { return ToSnakeCase(options_.name()); }

Tensor Loss::operator()(const Tensor& y_true, const Tensor& y_pred) const {
  return ops::Mean(PerExample(y_true, y_pred));
}

LossRegistry& Losses() {
  static LossRegistry registry("loss");
  return registry;
}

}  // namespace tributary

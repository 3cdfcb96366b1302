#include "trainer/model/regularizer.h"

#include "ops/math_ops.h"

namespace tributary {

RegularizerRegistry& Regularizers() {
  static RegularizerRegistry registry("regularizer");
  return registry;
}

namespace {

class L2 final : public Regularizer {
 public:
  explicit L2(double factor) : factor_(factor) {}
  Tensor operator()(const Tensor& weight) const override {
    return ops::Mul(ops::L2Loss(weight), Tensor(static_cast<float>(2 * factor_)));
  }

 private:
  double factor_;
};

REGISTER_REGULARIZER(OptionTable{"L2", "l2 times the sum of squares.",
                                 {Opt("l2").Float().Min(0).Default(0.01)}},
                     [](const Options& o) { return std::make_shared<L2>(o.Float("l2")); });

}  // namespace
}  // namespace tributary

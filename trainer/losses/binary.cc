// BinaryCrossentropy (keras.losses).

#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/nn_ops.h"
#include "trainer/losses/crossentropy.h"
#include "trainer/losses/shapes.h"

namespace tributary {
namespace {

using namespace losses;

class Binary final : public Crossentropy {
 public:
  explicit Binary(const Options& o)
      : Crossentropy(o, "sigmoid"), smoothing_(o.Float("label_smoothing")) {}

  Tensor PerExample(const Tensor& y_true, const Tensor& y_pred) const override {
    Tensor z = TargetLike(y_true, y_pred, options().name());
    const auto scalar = [&](double value) { return ops::ScalarLike(y_pred, value); };
    if (smoothing_ > 0) {
      z = ops::Add(ops::Mul(z, scalar(1 - smoothing_)), scalar(smoothing_ / 2));
    }
    const Tensor logits = from_logits() ? y_pred : InputOf(y_pred, "Sigmoid");
    Tensor loss;
    if (logits.defined()) {
      loss = ops::SigmoidCrossEntropyWithLogits(z, logits);
    } else {
      const Tensor p = ops::ClipByValue(y_pred, scalar(1e-7), scalar(1 - 1e-7));
      const Tensor one = scalar(1);
      loss = ops::Neg(ops::Add(ops::Mul(z, ops::Log(p)),
                               ops::Mul(ops::Sub(one, z), ops::Log(ops::Sub(one, p)))));
    }
    return loss.rank() < 2 ? loss : ops::Mean(loss, {-1});
  }

 private:
  double smoothing_;
};

REGISTER_LOSS(OptionTable{"BinaryCrossentropy", "Cross-entropy of independent yes-or-nos.",
                          {FromLogitsOption(),
                           Opt("label_smoothing").Float().Min(0).Max(1).Default(0.0)}},
              [](const Options& o) { return std::make_shared<Binary>(o); });

}  // namespace
}  // namespace tributary

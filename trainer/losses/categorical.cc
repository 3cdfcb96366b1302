// SparseCategoricalCrossentropy and CategoricalCrossentropy (keras.losses).

#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/nn_ops.h"
#include "trainer/losses/crossentropy.h"
#include "trainer/losses/shapes.h"

namespace tributary {
namespace {

using namespace losses;

constexpr double kEpsilon = 1e-7;

Tensor ClippedLog(const Tensor& p) {
  return ops::Log(ops::ClipByValue(p, ops::ScalarLike(p, kEpsilon),
                                   ops::ScalarLike(p, 1 - kEpsilon)));
}

// As matrices [rows, classes], which the fused ops take.
Tensor Rows(const Tensor& x) {
  return x.rank() == 2 ? x : ops::Reshape(x, {-1, x.dim(-1)});
}

class SparseCategorical final : public Crossentropy {
 public:
  explicit SparseCategorical(const Options& o) : Crossentropy(o, "softmax") {}

  Tensor PerExample(const Tensor& y_true, const Tensor& y_pred) const override {
    const Tensor labels = ClassTarget(y_true, y_pred, options().name());
    Tensor logits = y_pred;
    if (!from_logits()) {
      logits = InputOf(y_pred, "Softmax");
      if (!logits.defined()) logits = ClippedLog(y_pred);
    }
    const Tensor loss = ops::SparseSoftmaxCrossEntropyWithLogits(
        Rows(logits), labels.rank() == 1 ? labels : ops::Reshape(labels, {-1}))[0];
    return labels.rank() == 1 ? loss : ops::Reshape(loss, labels.shape().dims());
  }
};

class Categorical final : public Crossentropy {
 public:
  explicit Categorical(const Options& o)
      : Crossentropy(o, "softmax"), smoothing_(o.Float("label_smoothing")) {}

  Tensor PerExample(const Tensor& y_true, const Tensor& y_pred) const override {
    Tensor target = TargetLike(y_true, y_pred, options().name());
    if (smoothing_ > 0) {
      target = ops::Add(ops::Mul(target, ops::ScalarLike(target, 1 - smoothing_)),
                        ops::ScalarLike(target, smoothing_ / y_pred.dim(-1)));
    }
    const Tensor logits = from_logits() ? y_pred : InputOf(y_pred, "Softmax");
    if (!logits.defined()) {
      const Tensor p = ops::Div(y_pred, ops::Sum(y_pred, {-1}, true));
      return ops::Neg(ops::Sum(ops::Mul(target, ClippedLog(p)), {-1}));
    }
    const Tensor loss = ops::SoftmaxCrossEntropyWithLogits(Rows(logits), Rows(target))[0];
    if (y_pred.rank() == 2) return loss;
    std::vector<int64_t> dims = y_pred.shape().dims();
    dims.pop_back();
    return ops::Reshape(loss, dims);
  }

 private:
  double smoothing_;
};

REGISTER_LOSS(OptionTable{"SparseCategoricalCrossentropy",
                          "Cross-entropy of class numbers.",
                          {FromLogitsOption()}},
              [](const Options& o) { return std::make_shared<SparseCategorical>(o); });
REGISTER_LOSS(OptionTable{"CategoricalCrossentropy", "Cross-entropy of class probabilities.",
                          {FromLogitsOption(),
                           Opt("label_smoothing").Float().Min(0).Max(1).Default(0.0)}},
              [](const Options& o) { return std::make_shared<Categorical>(o); });

}  // namespace
}  // namespace tributary

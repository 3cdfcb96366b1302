#pragma once
// Losses (keras.losses): a scalar from targets and predictions, the mean over all
// elements of the batch (reduction "sum_over_batch_size").
//
//   LossPtr loss = Losses().Make("SparseCategoricalCrossentropy", {{"from_logits", true}});
//   Tensor value = (*loss)(y_true, y_pred);

#include <memory>
#include <optional>
#include <string>

#include "core/base/option_registry.h"
#include "core/tensor/tensor.h"

namespace tributary {

class Layer;

class Loss {
 public:
  explicit Loss(Options options) : options_(std::move(options)) {}
  virtual ~Loss() = default;

  // "sparse_categorical_crossentropy".
  std::string name() const;
  const Options& get_config() const { return options_; }

  // The mean of PerExample.
  Tensor operator()(const Tensor& y_true, const Tensor& y_pred) const;
  // One loss an example (and position). Throws InvalidArgumentError naming both
  // shapes when they do not fit together.
  virtual Tensor PerExample(const Tensor& y_true, const Tensor& y_pred) const = 0;

  // Whether predictions are logits, for cross-entropies whose `from_logits` nobody
  // set, is read off the activation of the model's last layer: softmax and sigmoid
  // give probabilities. Throws InvalidArgumentError when it was set and clashes.
  virtual void ResolveFromLogits(const Layer& last) {}
  // Predictions are logits (of a cross-entropy).
  virtual bool from_logits() const { return false; }

 protected:
  const Options& options() const { return options_; }

 private:
  Options options_;
};
using LossPtr = std::shared_ptr<Loss>;

using LossRegistry = OptionRegistry<LossPtr(const Options&)>;
LossRegistry& Losses();

#define REGISTER_LOSS(...)                                           \
  [[maybe_unused]] static const ::tributary::LossRegistry::Registrar \
      TRB_UNIQUE(trb_loss_)(::tributary::Losses(), __VA_ARGS__)

}  // namespace tributary

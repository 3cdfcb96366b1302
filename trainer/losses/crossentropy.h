#pragma once
// What the three cross-entropies share: are the predictions logits?

#include "trainer/losses/loss.h"
#include "trainer/model/layer.h"

namespace tributary::losses {

inline OptionSpec FromLogitsOption() {
  return Opt("from_logits").Bool().Doc(
      "whether predictions are logits; read off the last activation unless set");
}

class Crossentropy : public Loss {
 public:
  // `activation`: the one that turns logits into what this loss takes.
  Crossentropy(const Options& o, std::string activation)
      : Loss(o), activation_(std::move(activation)),
        from_logits_(o.Has("from_logits") && o.Bool("from_logits")) {}

  bool from_logits() const override { return from_logits_; }

  void ResolveFromLogits(const Layer& last) override {
    const Options& config = last.get_config();
    if (!config.Has("activation")) return;
    const std::string& activation = config.Child("activation").name();
    const bool probabilities = activation == activation_;
    if (!options().Has("from_logits")) {
      from_logits_ = activation == "linear";
    } else if (from_logits_ && probabilities) {
      throw InvalidArgumentError(
          "[{}] from_logits is true, but the last layer '{}' ends in {}; leave from_logits "
          "out, or the activation",
          options().name(), last.name(), activation);
    } else if (!from_logits_ && activation == "linear") {
      throw InvalidArgumentError(
          "[{}] from_logits is false, but the last layer '{}' gives logits (no {}); leave "
          "from_logits out, or add the activation",
          options().name(), last.name(), activation_);
    }
  }

 private:
  std::string activation_;
  bool from_logits_;
};

}  // namespace tributary::losses

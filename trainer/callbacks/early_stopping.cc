// EarlyStopping (keras.callbacks.EarlyStopping).

#include <nlohmann/json.hpp>

#include "core/base/logging.h"
#include "trainer/callbacks/monitor.h"
#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

class EarlyStopping final : public Callback {
 public:
  explicit EarlyStopping(const Options& o)
      : monitor_(o.String("monitor"), o.String("mode"), o.Float("min_delta")),
        patience_(o.Int("patience")), start_(o.Int("start_from_epoch")),
        restore_(o.Bool("restore_best_weights")),
        best_(monitor_.Worst()) {
    set_name("EarlyStopping");
    if (o.Has("baseline")) baseline_ = o.Float("baseline");
  }

  void OnTrainBegin(Trainer& trainer) override {
    if (!restore_ || !trainer.strategy().parameters()) return;
    throw UnimplementedError("[early stopping] restore_best_weights: with {} the weights are "
                             "elsewhere; keep the best by `checkpoint: {{best: {}}}` instead",
                             trainer.strategy().Describe(), monitor_.name());
  }

  // A run that goes on after its end has the best weights in its model.
  void OnEpochBegin(Trainer& trainer) override {
    if (std::exchange(restored_, false)) KeepWeights(trainer, best_epoch_);
  }

  // As in Keras: the weights of the best epoch are kept whether it beats the baseline or not.
  void OnEpochEnd(Trainer& trainer, Logs& logs) override {
    if (trainer.epoch() < start_) return;
    const std::optional<double> value = monitor_.Read(logs);
    if (!value) return;
    stopped_ = false;
    ++wait_;
    const bool better = monitor_.IsBetter(*value, best_);
    if (better || kept_epoch_ < 0) KeepWeights(trainer, trainer.epoch());
    if (better) {
      best_ = *value;
      best_epoch_ = trainer.epoch();
      if (!baseline_ || monitor_.IsBetter(*value, *baseline_)) wait_ = 0;
      return;
    }
    if (wait_ < patience_ || trainer.epoch() == 0) return;
    if (trainer.is_chief()) {
      LogInfo("[early stopping] {} did not improve for {} epochs; best {:.6g} in epoch {}",
              monitor_.name(), wait_, best_, best_epoch_ + 1);
    }
    stopped_ = true;
    trainer.StopAfterEpoch();
  }

  void OnTrainDone(Trainer& trainer) override {
    if (kept_epoch_ < 0 || restored_) return;
    if (trainer.is_chief()) {
      LogInfo("[early stopping] the weights are those of epoch {} again", kept_epoch_ + 1);
    }
    trainer.SetWeights(weights_);
    weights_.clear();
    kept_epoch_ = -1;
    restored_ = true;
  }

  bool HasEnded() const override { return stopped_ && wait_ >= patience_; }

  std::string SaveState() const override {
    return nlohmann::json{{"best", Text(best_)},    {"best_epoch", best_epoch_},
                          {"wait", wait_},          {"kept_epoch", kept_epoch_},
                          {"stopped", stopped_},    {"restored", restored_}}
        .dump();
  }
  void RestoreState(const std::string& text) override {
    const auto json = nlohmann::json::parse(text);
    best_ = std::strtod(json.at("best").get<std::string>().c_str(), nullptr);
    best_epoch_ = json.at("best_epoch");
    wait_ = json.at("wait");
    stopped_ = json.value("stopped", false);
    restored_ = restore_ && json.value("restored", false);
    kept_epoch_ = restore_ ? json.value("kept_epoch", int64_t{-1}) : -1;
  }

  std::vector<Tensor> SaveTensors() const override { return weights_; }
  void RestoreTensors(std::vector<Tensor> weights) override {
    if (restore_) weights_ = std::move(weights);
  }

 private:
  static std::string Text(double value) { return fmt::format("{:a}", value); }

  // The chief's are everybody's: moving averages are synchronised at epoch ends.
  void KeepWeights(Trainer& trainer, int64_t epoch) {
    if (!restore_) return;
    kept_epoch_ = epoch;
    weights_.clear();
    if (!trainer.is_chief()) return;
    for (const VariablePtr& variable : trainer.model()->variables()) {
      weights_.push_back(variable->storage().Clone());
    }
  }

  Monitor monitor_;
  int64_t patience_, start_;
  bool restore_;
  double best_;
  std::optional<double> baseline_;
  int64_t best_epoch_ = -1, wait_ = 0;
  bool stopped_ = false;     // the last epoch was the last straw
  int64_t kept_epoch_ = -1;  // whose weights are kept; everybody knows
  bool restored_ = false;    // the model has them
  std::vector<Tensor> weights_;  // the chief's
};

REGISTER_CALLBACK(
    OptionTable{"EarlyStopping", "Ends the training when a figure no longer improves.",
                {Monitor::NameOption("val_loss"),
                 Opt("min_delta").Float().Default(0.0).Doc("less is no improvement"),
                 Opt("patience").Int().Min(0).Default(0).Doc("epochs without improvement"),
                 Monitor::ModeOption(),
                 Opt("baseline").Float().Doc("a value to be better than from the start"),
                 Opt("restore_best_weights").Bool().Default(false),
                 Opt("start_from_epoch").Int().Min(0).Default(0)}},
    [](const Options& o, const CallbackContext&) {
      return std::make_shared<EarlyStopping>(o);
    });

}  // namespace
}  // namespace tributary

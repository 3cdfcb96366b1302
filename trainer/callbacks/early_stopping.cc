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
        best_(o.Has("baseline") ? o.Float("baseline") : monitor_.Worst()) {
    set_name("EarlyStopping");
  }

  void OnEpochEnd(Trainer& trainer, Logs& logs) override {
    if (trainer.epoch() < start_) return;
    const std::optional<double> value = monitor_.Read(logs);
    if (!value) return;
    if (monitor_.IsBetter(*value, best_)) {
      best_ = *value;
      best_epoch_ = trainer.epoch();
      wait_ = 0;
      if (restore_) KeepWeights(trainer);
      return;
    }
    if (++wait_ < patience_) return;
    if (trainer.is_chief()) {
      LogInfo("[early stopping] {} did not improve for {} epochs; best {:.6g} in epoch {}",
              monitor_.name(), wait_, best_, best_epoch_ + 1);
    }
    trainer.StopAfterEpoch();
  }

  void OnTrainEnd(Trainer& trainer) override {
    if (weights_.empty()) return;
    // Variables may be shared memory: nobody writes while another still reads.
    trainer.strategy().SumAcrossReplicas({});
    size_t i = 0;
    for (const VariablePtr& variable : trainer.model()->variables()) {
      CopyTensor(weights_[i++], variable->storage());
    }
    weights_.clear();
    trainer.strategy().SumAcrossReplicas({});
  }

  std::string SaveState() const override {
    return nlohmann::json{{"best", Text(best_)}, {"best_epoch", best_epoch_}, {"wait", wait_}}
        .dump();
  }
  void RestoreState(const std::string& text) override {
    const auto json = nlohmann::json::parse(text);
    best_ = std::strtod(json.at("best").get<std::string>().c_str(), nullptr);
    best_epoch_ = json.at("best_epoch");
    wait_ = json.at("wait");
  }

 private:
  static std::string Text(double value) { return fmt::format("{:a}", value); }

  void KeepWeights(Trainer& trainer) {
    weights_.clear();
    for (const VariablePtr& variable : trainer.model()->variables()) {
      weights_.push_back(variable->storage().Clone());
    }
  }

  Monitor monitor_;
  int64_t patience_, start_;
  bool restore_;
  double best_;
  int64_t best_epoch_ = -1, wait_ = 0;
  std::vector<Tensor> weights_;
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

// LearningRateScheduler and ReduceLROnPlateau (keras.callbacks).

#include "trainer/callbacks/learning_rate.h"

#include <nlohmann/json.hpp>

#include "core/base/logging.h"
#include "trainer/callbacks/monitor.h"
#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

class LearningRateScheduler final : public Callback {
 public:
  explicit LearningRateScheduler(std::function<double(int64_t, double)> fn)
      : fn_(std::move(fn)) {
    set_name("LearningRateScheduler");
  }
  void OnEpochBegin(Trainer& trainer) override {
    Optimizer& optimizer = *trainer.optimizer();
    // A resumed epoch keeps the rate it began with, which the checkpoint has.
    if (trainer.step_in_epoch() == 0) {
      optimizer.set_learning_rate(fn_(trainer.epoch(), optimizer.learning_rate()));
    }
  }
  void OnEpochEnd(Trainer& trainer, Logs& logs) override {
    logs.Set("learning_rate", trainer.optimizer()->learning_rate());
  }

 private:
  std::function<double(int64_t, double)> fn_;
};

class ReduceLrOnPlateau final : public Callback {
 public:
  explicit ReduceLrOnPlateau(const Options& o)
      : monitor_(o.String("monitor"), o.String("mode"), o.Float("min_delta")),
        factor_(o.Float("factor")), min_rate_(o.Float("min_lr")),
        patience_(o.Int("patience")), cooldown_(o.Int("cooldown")), best_(monitor_.Worst()) {
    set_name("ReduceLROnPlateau");
  }

  void OnEpochEnd(Trainer& trainer, Logs& logs) override {
    Optimizer& optimizer = *trainer.optimizer();
    logs.Set("learning_rate", optimizer.learning_rate());
    const std::optional<double> value = monitor_.Read(logs);
    if (!value) return;
    if (cooling_ > 0) {
      --cooling_;
      wait_ = 0;
    }
    if (monitor_.IsBetter(*value, best_)) {
      best_ = *value;
      wait_ = 0;
    } else if (cooling_ == 0 && ++wait_ >= patience_ &&
               optimizer.learning_rate() > min_rate_) {
      optimizer.set_learning_rate(std::max(optimizer.learning_rate() * factor_, min_rate_));
      if (trainer.is_chief()) {
        LogInfo("[plateau] learning rate is now {:.6g}", optimizer.learning_rate());
      }
      cooling_ = cooldown_;
      wait_ = 0;
    }
  }

  std::string SaveState() const override {
    return nlohmann::json{{"best", fmt::format("{:a}", best_)},
                          {"wait", wait_},
                          {"cooling", cooling_}}
        .dump();
  }
  void RestoreState(const std::string& text) override {
    const auto json = nlohmann::json::parse(text);
    best_ = std::strtod(json.at("best").get<std::string>().c_str(), nullptr);
    wait_ = json.at("wait");
    cooling_ = json.at("cooling");
  }

 private:
  Monitor monitor_;
  double factor_, min_rate_;
  int64_t patience_, cooldown_;
  double best_;
  int64_t wait_ = 0, cooling_ = 0;
};

REGISTER_CALLBACK(
    OptionTable{"LearningRateScheduler", "Sets the learning rate when an epoch begins.",
                {Opt("schedule").Of("learning_rate_schedule").Required().Doc(
                    "a function of the epoch, from 0")}},
    [](const Options& o, const CallbackContext&) {
      const SchedulePtr schedule = LearningRateSchedules().Build(o.Child("schedule"));
      return MakeLearningRateScheduler(
          [schedule](int64_t epoch, double) { return schedule->At(epoch); });
    });
REGISTER_CALLBACK(
    OptionTable{"ReduceLROnPlateau", "Lowers the learning rate when a figure stands still.",
                {Monitor::NameOption("val_loss"),
                 Opt("factor").Float().Above(0).Below(1).Default(0.1),
                 Opt("patience").Int().Min(0).Default(10), Monitor::ModeOption(),
                 Opt("min_delta").Float().Min(0).Default(1e-4),
                 Opt("cooldown").Int().Min(0).Default(0),
                 Opt("min_lr").Float().Min(0).Default(0.0)}},
    [](const Options& o, const CallbackContext&) {
      return std::make_shared<ReduceLrOnPlateau>(o);
    });

}  // namespace

CallbackPtr MakeLearningRateScheduler(std::function<double(int64_t, double)> fn) {
  return std::make_shared<LearningRateScheduler>(std::move(fn));
}

}  // namespace tributary

// keras.optimizers.schedules, and a warm-up in front of any of them.

#include <cmath>
#include <numbers>

#include "trainer/optimizers/learning_rate.h"

namespace tributary {

ScheduleRegistry& LearningRateSchedules() {
  static ScheduleRegistry registry("learning_rate_schedule");
  return registry;
}

namespace {

class Constant final : public LearningRateSchedule {
 public:
  explicit Constant(double rate) : rate_(rate) {}
  double At(int64_t) const override { return rate_; }

 private:
  double rate_;
};

class PiecewiseConstantDecay final : public LearningRateSchedule {
 public:
  explicit PiecewiseConstantDecay(const Options& o)
      : boundaries_(o.Ints("boundaries")), values_(o.Floats("values")) {
    if (values_.size() != boundaries_.size() + 1 ||
        !std::ranges::is_sorted(boundaries_)) {
      throw InvalidArgumentError(
          "[PiecewiseConstantDecay] needs ascending boundaries and one value more than "
          "boundaries, got {} boundaries and {} values",
          boundaries_.size(), values_.size());
    }
  }
  // A boundary itself still has the rate before it.
  double At(int64_t step) const override {
    return values_[std::ranges::lower_bound(boundaries_, step) - boundaries_.begin()];
  }

 private:
  std::vector<int64_t> boundaries_;
  std::vector<double> values_;
};

class ExponentialDecay final : public LearningRateSchedule {
 public:
  explicit ExponentialDecay(const Options& o)
      : initial_(o.Float("initial_learning_rate")), rate_(o.Float("decay_rate")),
        steps_(o.Float("decay_steps")), staircase_(o.Bool("staircase")) {}
  double At(int64_t step) const override {
    const double exponent = step / steps_;
    return initial_ * std::pow(rate_, staircase_ ? std::floor(exponent) : exponent);
  }

 private:
  double initial_, rate_, steps_;
  bool staircase_;
};

class CosineDecay final : public LearningRateSchedule {
 public:
  explicit CosineDecay(const Options& o)
      : initial_(o.Float("initial_learning_rate")), steps_(o.Float("decay_steps")),
        alpha_(o.Float("alpha")), warmup_(o.Has("warmup_target")),
        target_(warmup_ ? o.Float("warmup_target") : initial_),
        warmup_steps_(warmup_ ? o.Float("warmup_steps") : 0) {}
  double At(int64_t step) const override {
    if (warmup_ && step < warmup_steps_) {
      return initial_ + (target_ - initial_) * step / warmup_steps_;
    }
    const double done = std::min((step - warmup_steps_) / steps_, 1.0);
    const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * done));
    return target_ * ((1 - alpha_) * cosine + alpha_);
  }

 private:
  double initial_, steps_, alpha_;
  bool warmup_;
  double target_, warmup_steps_;
};

class WarmUp final : public LearningRateSchedule {
 public:
  explicit WarmUp(const Options& o)
      : steps_(o.Int("warmup_steps")),
        after_(o.IsObject("learning_rate")
                   ? LearningRateSchedules().Build(o.Child("learning_rate"))
                   : std::make_shared<Constant>(o.Float("learning_rate"))) {}
  double At(int64_t step) const override {
    if (step >= steps_) return after_->At(step - steps_);
    return after_->At(0) * (step + 1) / (steps_ + 1);
  }

 private:
  int64_t steps_;
  SchedulePtr after_;
};

OptionSpec Initial() { return Opt("initial_learning_rate").Float().Min(0).Required(); }
OptionSpec DecaySteps() { return Opt("decay_steps").Int().Min(1).Required(); }

REGISTER_SCHEDULE(OptionTable{"Constant", "One rate for ever.",
                              {Opt("learning_rate").Float().Min(0).Required()}},
                  [](const Options& o) {
                    return std::make_shared<Constant>(o.Float("learning_rate"));
                  });
REGISTER_SCHEDULE(
    OptionTable{"PiecewiseConstantDecay", "Steps: values[i] up to boundaries[i].",
                {Opt("boundaries").Int().Min(0).List().Required(),
                 Opt("values").Float().Min(0).List().Required()}},
    [](const Options& o) { return std::make_shared<PiecewiseConstantDecay>(o); });
REGISTER_SCHEDULE(
    OptionTable{"ExponentialDecay", "initial * decay_rate ^ (step / decay_steps).",
                {Initial(), DecaySteps(), Opt("decay_rate").Float().Above(0).Required(),
                 Opt("staircase").Bool().Default(false)}},
    [](const Options& o) { return std::make_shared<ExponentialDecay>(o); });
REGISTER_SCHEDULE(
    OptionTable{"CosineDecay", "Half a cosine down to alpha, after a linear warm-up if wanted.",
                {Initial(), DecaySteps(), Opt("alpha").Float().Min(0).Max(1).Default(0.0),
                 Opt("warmup_target").Float().Min(0),
                 Opt("warmup_steps").Int().Min(0).Default(0)}},
    [](const Options& o) { return std::make_shared<CosineDecay>(o); });
REGISTER_SCHEDULE(
    OptionTable{"WarmUp", "Rises in a line for some steps, then follows another schedule.",
                {Opt("warmup_steps").Int().Min(0).Required(),
                 Opt("learning_rate").Float().Min(0).OrOf("learning_rate_schedule")
                     .Required().Doc("a number or a schedule, counted from its own step 0")}},
    [](const Options& o) { return std::make_shared<WarmUp>(o); });

}  // namespace
}  // namespace tributary

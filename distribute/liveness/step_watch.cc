#include "distribute/liveness/step_watch.h"

#include "core/base/strings.h"

namespace tributary {
namespace {

constexpr uint64_t kFirstSteps = 3;
constexpr Millis kFirstStepsLimit{120'000};
constexpr int kSlowdown = 5;

double Seconds(Millis time) { return static_cast<double>(time.count()) / 1e3; }

}  // namespace

Millis StepWatch::Limit(uint64_t steps) const {
  const Millis limit = std::max(least_, kSlowdown * longest_);
  return steps < kFirstSteps ? std::max(limit, kFirstStepsLimit) : limit;
}

std::optional<std::string> StepWatch::Look(const JobHealth& health, Millis others_wait,
                                           Clock::time_point now) {
  if (since_ == Clock::time_point{}) since_ = now;
  const auto busy = std::chrono::duration_cast<Millis>(now - since_);
  const uint64_t progress = health.progress();
  const bool in_step = health.in_step();
  if (!in_step || progress != progress_ || health.BlockedMillis(now) > 0) {
    // What ran between two looks at something else was no step.
    if (in_step || progress != progress_) longest_ = std::max(longest_, busy);
    progress_ = progress;
    since_ = now;
    return std::nullopt;
  }
  const uint64_t steps = health.steps();
  const Millis limit = Limit(steps);
  if (busy <= limit || others_wait < limit / 3) return std::nullopt;
  return fmt::format(
      "hangs: the step after its first {} has not moved for {:.1f} s, others wait for it, and the "
      "longest before took {:.1f} s; if it is only slow, set cluster.timeout to more seconds",
      steps, Seconds(busy), Seconds(longest_));
}

}  // namespace tributary

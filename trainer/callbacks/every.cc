#include "trainer/callbacks/every.h"

#include <chrono>

namespace tributary {
namespace {

double SteadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Every::Every(Interval interval, std::function<double()> clock)
    : interval_(interval), clock_(clock ? std::move(clock) : SteadySeconds) {}

int64_t Every::FirstStep(int64_t step) {
  if (interval_.never() || interval_.unit == Interval::Unit::kEpochs) return Callback::kNever;
  if (interval_.unit == Interval::Unit::kSteps) {
    const auto n = static_cast<int64_t>(interval_.count);
    return n - step % n;
  }
  last_time_ = clock_();
  if (last_due_ == 0) last_due_ = last_time_;
  last_step_ = step;
  return last_wait_ = 1;
}

int64_t Every::OnStep(int64_t step, bool* due) {
  if (interval_.unit == Interval::Unit::kSteps) {
    *due = true;
    return static_cast<int64_t>(interval_.count);
  }
  const double now = clock_();
  *due = now - last_due_ >= interval_.count;
  if (*due) last_due_ = now;
  const double pace = (now - last_time_) / std::max<int64_t>(1, step - last_step_);
  const double left = interval_.count - (now - last_due_);
  // At most twice as long as the last wait: the pace may have been an accident.
  const double steps = pace > 0 ? left / pace : 2.0 * last_wait_;
  last_time_ = now;
  last_step_ = step;
  return last_wait_ = std::clamp<int64_t>(static_cast<int64_t>(std::min(steps, 1e15)), 1,
                                          2 * last_wait_);
}

bool Every::AtEpochEnd(int64_t epoch) const {
  return !interval_.never() && interval_.unit == Interval::Unit::kEpochs &&
         (epoch + 1) % static_cast<int64_t>(interval_.count) == 0;
}

}  // namespace tributary

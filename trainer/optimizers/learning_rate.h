#pragma once
// Learning rates as functions of the step (keras.optimizers.schedules). Computed
// on the host: the step reads the rate from a variable, nothing is traced again.

#include <memory>

#include "core/base/option_registry.h"

namespace tributary {

class LearningRateSchedule {
 public:
  virtual ~LearningRateSchedule() = default;
  // The rate of update number `step`, from 0. Allocates nothing.
  virtual double At(int64_t step) const = 0;
};
using SchedulePtr = std::shared_ptr<const LearningRateSchedule>;

using ScheduleRegistry = OptionRegistry<SchedulePtr(const Options&)>;
ScheduleRegistry& LearningRateSchedules();

#define REGISTER_SCHEDULE(...)                                           \
  [[maybe_unused]] static const ::tributary::ScheduleRegistry::Registrar \
      TRB_UNIQUE(trb_schedule_)(::tributary::LearningRateSchedules(), __VA_ARGS__)

}  // namespace tributary

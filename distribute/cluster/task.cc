#include "distribute/cluster/task.h"

#include "core/base/errors.h"
#include "core/base/strings.h"

namespace tributary {

std::string Task::ToString() const { return fmt::format("/job:{}/task:{}", type, index); }

Role RoleOf(const Task& task) {
  if (task.type == kChief || task.type == kWorker) return Role::kTrainer;
  if (task.type == kPs) return Role::kParameterServer;
  if (task.type == kEvaluator) return Role::kEvaluator;
  throw InvalidArgumentError(
      "[cluster] unknown task type '{}'; expected chief, worker, ps or evaluator{}", task.type,
      DidYouMean(task.type, {kChief, kWorker, kPs, kEvaluator}));
}

}  // namespace tributary

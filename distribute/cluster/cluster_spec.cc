#include "distribute/cluster/cluster_spec.h"

#include "core/base/errors.h"

namespace tributary {

void ClusterSpec::AddTask(const Task& task, const std::string& address) {
  RoleOf(task);
  if (task.index < 0) {
    throw InvalidArgumentError("[cluster] task index {} of job '{}' is negative", task.index,
                               task.type);
  }
  if (!jobs_[task.type].emplace(task.index, address).second) {
    throw InvalidArgumentError("[cluster] {} is listed twice", task.ToString());
  }
}

bool ClusterSpec::HasTask(const Task& task) const {
  const auto job = jobs_.find(task.type);
  return job != jobs_.end() && job->second.count(task.index) > 0;
}

int ClusterSpec::NumTasks(const std::string& type) const {
  const auto job = jobs_.find(type);
  return job == jobs_.end() ? 0 : static_cast<int>(job->second.size());
}

const std::string& ClusterSpec::Address(const Task& task) const {
  if (!HasTask(task)) throw NotFoundError("[cluster] there is no {}", task.ToString());
  return jobs_.at(task.type).at(task.index);
}

std::vector<Task> ClusterSpec::Tasks() const {
  std::vector<Task> tasks;
  for (const char* type : {kChief, kWorker, kPs, kEvaluator}) {
    const auto job = jobs_.find(type);
    if (job == jobs_.end()) continue;
    for (const auto& [index, address] : job->second) tasks.push_back({type, index});
  }
  return tasks;
}

void ClusterSpec::Validate(const Task& self) const {
  for (const char* type : {kChief, kEvaluator}) {
    if (NumTasks(type) > 1) {
      throw InvalidArgumentError("[cluster] there are {} tasks of job '{}'; expected at most 1",
                                 NumTasks(type), type);
    }
  }
  const bool side_car = RoleOf(self) == Role::kEvaluator && !HasJob(kEvaluator);
  if (!HasTask(self) && !side_car) {
    throw InvalidArgumentError(
        "[cluster] this process is {}, which the cluster does not list ({} such tasks)",
        self.ToString(), NumTasks(self.type));
  }
}

bool IsChief(const ClusterSpec& spec, const Task& task) {
  if (task.type == kChief || task.type == kEvaluator) return true;
  return task.type == kWorker && task.index == 0 && !spec.HasJob(kChief);
}

int WorkerCount(const ClusterSpec& spec, const Task& task) {
  if (RoleOf(task) == Role::kParameterServer) {
    throw InvalidArgumentError("[cluster] {} does not train: it has no worker count",
                               task.ToString());
  }
  if (task.type == kEvaluator) return 1;
  return std::max(1, spec.NumTasks(kChief) + spec.NumTasks(kWorker));
}

int IdInCluster(const ClusterSpec& spec, const Task& task) {
  switch (RoleOf(task)) {
    case Role::kEvaluator:
      return task.index;
    case Role::kTrainer: {
      int id = 0;
      for (const Task& other : spec.Tasks()) {
        if (other == task) return id;
        ++id;
      }
      return task.index;
    }
    case Role::kParameterServer:
      break;
  }
  throw InvalidArgumentError("[cluster] there is no worker id for {}", task.ToString());
}

std::string CollectiveLeader(const ClusterSpec& spec, const Task& task) {
  if (spec.empty() || task.type == kEvaluator) return "";
  return fmt::format("/job:{}/replica:0/task:0", spec.HasJob(kChief) ? kChief : kWorker);
}

}  // namespace tributary

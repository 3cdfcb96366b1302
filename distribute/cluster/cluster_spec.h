#pragma once
// The processes of a job by name: tf.train.ClusterSpec, with the rules of
// tensorflow/python/distribute/multi_worker_util.py.

#include <map>
#include <string>
#include <vector>

#include "distribute/cluster/task.h"

namespace tributary {

class ClusterSpec {
 public:
  // Throws InvalidArgumentError when the task is there already, its type is
  // unknown or its index negative. `address` is "host:port", or "" when the
  // launcher does not tell.
  void AddTask(const Task& task, const std::string& address);

  bool empty() const { return jobs_.empty(); }
  bool HasJob(const std::string& type) const { return jobs_.count(type) > 0; }
  bool HasTask(const Task& task) const;
  int NumTasks(const std::string& type) const;
  // Throws NotFoundError.
  const std::string& Address(const Task& task) const;
  // Chief, then workers, then the others, each by index.
  std::vector<Task> Tasks() const;

  // At most one chief, at most one evaluator, and `self` is one of the tasks
  // (an evaluator need not be). Throws InvalidArgumentError.
  void Validate(const Task& self) const;

 private:
  std::map<std::string, std::map<int, std::string>> jobs_;
};

// The `chief` task, or worker 0 where there is none. An evaluator is its own.
bool IsChief(const ClusterSpec& spec, const Task& task);
// Chief + workers; 1 for an evaluator. Throws InvalidArgumentError for a ps.
int WorkerCount(const ClusterSpec& spec, const Task& task);
// Position in the order chief, workers. Throws InvalidArgumentError for a ps.
int IdInCluster(const ClusterSpec& spec, const Task& task);
// "/job:chief/replica:0/task:0" or "/job:worker/replica:0/task:0"; "" for an
// evaluator and for an empty cluster.
std::string CollectiveLeader(const ClusterSpec& spec, const Task& task);

}  // namespace tributary

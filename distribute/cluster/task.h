#pragma once
// The name of one process of a cluster, in TensorFlow's words: /job:worker/task:1.

#include <compare>
#include <string>

namespace tributary {

// The job names that TensorFlow allows (multi_worker_util.py).
inline constexpr char kChief[] = "chief";
inline constexpr char kWorker[] = "worker";
inline constexpr char kPs[] = "ps";
inline constexpr char kEvaluator[] = "evaluator";

struct Task {
  std::string type = kWorker;
  int index = 0;

  // "/job:worker/task:1".
  std::string ToString() const;
  auto operator<=>(const Task&) const = default;
};

// What a process does. A chief of its own and a worker that is the chief both
// train; whether one is the chief is a separate question (Cluster::is_chief).
enum class Role { kTrainer, kParameterServer, kEvaluator };

// Throws InvalidArgumentError for a job name that TensorFlow does not know.
Role RoleOf(const Task& task);

}  // namespace tributary

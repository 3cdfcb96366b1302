#pragma once
// The folder of a run: job.yaml (as resolved), result.json, checkpoints/,
// logs/<role>-<task>.log, summaries/.

#include <string>
#include <vector>

#include "launch/config/job.h"

namespace tributary {

class RunDir {
 public:
  explicit RunDir(const JobConfig& job) : path_(job.run_dir) {}

  const std::string& path() const { return path_; }
  std::string checkpoints() const { return path_ + "/checkpoints"; }
  std::string summaries() const { return path_ + "/summaries"; }
  std::string log_file(const std::string& task_type, int task_index) const;
  std::string result_file() const { return path_ + "/result.json"; }

  // Throws AlreadyExistsError or PermissionDeniedError when the folder is neither there
  // nor can be made, or nothing can be written into it. Leaves nothing behind.
  void CheckWritable() const;
  // What Prepare would move aside: an earlier run, when the job starts over (`fresh`,
  // or checkpoint.resume: never). Throws AlreadyExistsError for a folder that is
  // no run's (files of somebody else are never moved), or that cannot be moved since
  // this process works in it, and FailedPreconditionError for `fresh` in a job that has
  // to go on.
  bool WouldMoveAside(const JobConfig& job, bool fresh) const;

  // For the chief, once, before the others enter: makes the folder and writes
  // job.yaml. When the job starts over, an earlier run is moved aside to <run_dir>.<n>.
  // When there is a checkpoint to go on from, what changed in the job since is
  // logged, and a changed model is refused with FailedPreconditionError.
  // Throws what the checks above and the file system throw.
  void Prepare(const JobConfig& job, bool fresh) const;

 private:
  void CompareWithBefore(const JobConfig& job) const;
  bool IsRun() const;
  std::string path_;
};

// "optimizer.config.learning_rate: 0.001 -> 0.01", one for each value that
// differs. Both are the JSON of a resolved job.
std::vector<std::string> JobDifferences(const std::string& before, const std::string& after);

}  // namespace tributary

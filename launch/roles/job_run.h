#pragma once
// A job made into objects: data, model, strategy and trainer.

#include <memory>
#include <optional>

#include "launch/config/job.h"
#include "trainer/loop/trainer.h"

namespace tributary {

class JobContext;

// Which data sets a process reads.
enum class JobData {
  kAll,
  kWithoutTrain,  // unless there is nothing else, or layers learn from it
  kTrainOnly,
};

struct JobRun {
  // In this order: `train` is read first, so that a missing data set is known before
  // anything else is made.
  std::optional<data::Dataset> train, validation, test;
  ModelPtr model;
  std::unique_ptr<Trainer> trainer;

  // Builds everything; sets the random seed. Layers may learn from data.train (vocabularies,
  // means).
  JobRun(const JobConfig& job, std::shared_ptr<Strategy> strategy, JobData read = JobData::kAll);

  // data.train, validation or test, by name. Throws FailedPreconditionError when
  // the job has no such block.
  const data::Dataset& Set(const std::string& name) const;
  // What Build does before the processes meet: weights, loss and metrics for this job's
  // data. Returns what must be the same in all of them, in words.
  std::string Prepare();
  // Builds the model's variables for this job's data. Collective.
  void Build();
  // The checkpoint that `prefix` stands for: a path prefix, a folder, or "" for the
  // newest of the job's run_dir. Throws NotFoundError when there is none.
  static std::string FindCheckpoint(const JobConfig& job, const std::string& prefix);
  // Overwrites the model's variables from a checkpoint's path prefix. Collective.
  void RestoreModel(const std::string& checkpoint);
};

// How long and how often, as `train` says.
FitOptions MakeFitOptions(const JobConfig& job, const JobRun& run);

// The strategy of a job. `auto` is one_device for one process and
// multi_worker_mirrored for several. The job must be connected.
std::shared_ptr<Strategy> MakeStrategy(const JobConfig& job, const JobContext& context);

// For a process that works alone, whatever the job's processes do together: what reads the
// job's checkpoints.
std::shared_ptr<Strategy> MakeLocalStrategy(const JobConfig& job);

// Compute threads of this process: train.threads, TRIBUTARY_NUM_THREADS, or this
// process's share of the cores that it may use.
void SetComputeThreads(const JobConfig& job, int processes_here);

}  // namespace tributary

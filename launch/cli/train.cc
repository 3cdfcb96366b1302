// tributary train JOB: alone, or as one of mpirun's or Slurm's processes.

#include "launch/roles/train.h"

#include "launch/cli/cli.h"
#include "launch/cli/job_arguments.h"

namespace tributary {
namespace {

std::function<int()> SetUp(const CommandLine& line) {
  auto arguments = AddJobArguments(line);
  auto options = std::make_shared<TrainOptions>();
  line.Add("--fresh", &options->fresh, "Start over; an earlier run is moved aside");
  line.Add("--quiet", &options->quiet, "No progress and no report");
  return [=] { return TrainJob(arguments->Load(), *options); };
}

const CommandRegistrar registrar("train", {"Train a job; goes on where it stopped", 1, SetUp});

}  // namespace
}  // namespace tributary

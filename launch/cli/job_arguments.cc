#include "launch/cli/job_arguments.h"

#include "core/base/logging.h"
#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"
#include "launch/config/launch_rank.h"

namespace tributary {

JobConfig JobArguments::Load(int processes) const {
  JobSources sources;
  sources.overrides = overrides;
  sources.processes = processes > 0 ? processes : LaunchSize();
  try {
    JobConfig job = LoadJob(file, sources);
    SetLogOrigin("job", job.name);
    return job;
  } catch (const ConfigError&) {
    throw;
  } catch (const std::exception& e) {
    // Every process finds the same: one of them says so.
    if (LaunchRank() > 0) throw QuietExit{ExitCodeOf(e)};
    throw;
  }
}

std::shared_ptr<JobArguments> AddJobArguments(const CommandLine& line) {
  auto arguments = std::make_shared<JobArguments>();
  line.Add("JOB", &arguments->file, "The job, a YAML file").Required();
  line.Add("--set", &arguments->overrides,
           "Change a value: --set optimizer.learning_rate=0.01 (may be repeated)")
      .OneWordEach()
      .TypeName("KEY=VALUE");
  return arguments;
}

void AddSavedModelArguments(const CommandLine& line, SavedModelArguments* arguments) {
  line.Add("--checkpoint", &arguments->checkpoint,
           "Path prefix or folder; the newest of run_dir unless given");
  line.Add("--split", &arguments->set, "Block of data: train, validation or test")
      .OneOf({"train", "validation", "test"})
      .ShowDefault();
}

}  // namespace tributary

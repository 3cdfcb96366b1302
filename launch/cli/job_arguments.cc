#include "launch/cli/job_arguments.h"

#include <CLI/CLI.hpp>

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

std::shared_ptr<JobArguments> AddJobArguments(CLI::App& app) {
  auto arguments = std::make_shared<JobArguments>();
  app.add_option("JOB", arguments->file, "The job, a YAML file")->required();
  app.add_option("--set", arguments->overrides,
                 "Change a value: --set optimizer.learning_rate=0.01 (may be repeated)")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  return arguments;
}

void AddSavedModelArguments(CLI::App& app, SavedModelArguments* arguments) {
  app.add_option("--checkpoint", arguments->checkpoint,
                 "Path prefix or folder; the newest of run_dir unless given");
  app.add_option("--split", arguments->set, "Block of data: train, validation or test")
      ->check(CLI::IsMember({"train", "validation", "test"}))
      ->capture_default_str();
}

}  // namespace tributary

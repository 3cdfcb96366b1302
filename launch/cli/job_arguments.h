#pragma once
// What every command that takes a job has in common: the file and --set.

#include <memory>

#include "launch/cli/command_line.h"
#include "launch/config/job.h"

namespace tributary {

struct JobArguments {
  std::string file;
  std::vector<std::string> overrides;

  // Validates for `processes`; 0: those of this launch.
  JobConfig Load(int processes = 0) const;
};

std::shared_ptr<JobArguments> AddJobArguments(const CommandLine& line);

// --checkpoint and --split, of commands that run a saved model over data.
struct SavedModelArguments {
  std::string checkpoint;
  std::string set = "test";
};

// `arguments` must live until the command line is parsed.
void AddSavedModelArguments(const CommandLine& line, SavedModelArguments* arguments);

}  // namespace tributary

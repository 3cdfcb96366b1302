#pragma once
// What every command that takes a job has in common: the file and --set.

#include <memory>

#include "launch/config/job.h"

namespace CLI {
class App;
}

namespace tributary {

struct JobArguments {
  std::string file;
  std::vector<std::string> overrides;

  // Validates for `processes`; 0: those of this launch.
  JobConfig Load(int processes = 0) const;
};

std::shared_ptr<JobArguments> AddJobArguments(CLI::App& app);

// --checkpoint and --split, of commands that run a saved model over data.
struct SavedModelArguments {
  std::string checkpoint;
  std::string set = "test";
};

// `arguments` lives as long as the app.
void AddSavedModelArguments(CLI::App& app, SavedModelArguments* arguments);

}  // namespace tributary

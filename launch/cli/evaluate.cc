// tributary evaluate JOB: loss and metrics of a saved model.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "distribute/job/job_context.h"
#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"
#include "launch/cli/job_arguments.h"
#include "launch/roles/connected.h"
#include "launch/roles/evaluator.h"
#include "launch/roles/job_run.h"
#include "launch/roles/result.h"

namespace tributary {
namespace {

struct Arguments : SavedModelArguments {
  bool json = false, follow = false;
};

int Evaluate(const JobConfig& job, const Arguments& arguments, JobContext& context) {
  SetComputeThreads(job, context.cluster().local_size);
  const std::shared_ptr<Strategy> strategy = MakeStrategy(job, context);
  std::optional<JobRun> run;
  std::string checkpoint;
  RunAlike(context, [&] {
    run.emplace(job, strategy,
                arguments.set == "train" ? JobData::kAll : JobData::kWithoutTrain);
    run->Set(arguments.set);
    checkpoint = JobRun::FindCheckpoint(job, arguments.checkpoint);
    return run->Prepare() + " and " + checkpoint;
  });
  const data::Dataset& set = run->Set(arguments.set);
  run->RestoreModel(checkpoint);
  // Every process has read the same file; shared memory is written by all alike.
  context.world().Barrier();
  const Logs logs = run->trainer->Evaluate(set);
  if (!context.cluster().is_chief) return kExitOk;
  if (arguments.json) {
    nlohmann::ordered_json json = {{"job", job.name}, {"set", arguments.set},
                                   {"checkpoint", checkpoint}, {"examples", set.rows()}};
    for (const auto& [name, value] : logs) json["figures"][name] = value;
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{} of {}: {}\n", arguments.set, checkpoint, FormatLogs(logs));
  }
  return kExitOk;
}

std::function<int()> SetUp(const CommandLine& line) {
  auto job = AddJobArguments(line);
  auto arguments = std::make_shared<Arguments>();
  AddSavedModelArguments(line, arguments.get());
  line.Add("--json", &arguments->json, "One JSON object");
  line.Add("--follow", &arguments->follow,
           "Measure each checkpoint that a running job writes, until it has ended");
  return [=] {
    const JobConfig config = job->Load();
    if (arguments->follow) return RunEvaluator(config, arguments->set);
    return RunConnected(config, [&](JobContext& context) {
      return Evaluate(config, *arguments, context);
    });
  };
}

const CommandRegistrar registrar("evaluate", {"Measure a saved model", 2, SetUp});

}  // namespace
}  // namespace tributary

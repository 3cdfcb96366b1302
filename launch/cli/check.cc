// tributary check JOB: a dry run. Paths, shapes, memory, one training step on one
// batch; nothing is written.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/runtime/report.h"
#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"
#include "launch/cli/job_arguments.h"
#include "launch/config/launch_rank.h"
#include "launch/roles/job_run.h"
#include "launch/roles/result.h"
#include "launch/roles/run_dir.h"
#include "trainer/strategy/one_device.h"

namespace tributary {
namespace {

struct SetFacts {
  std::string name, pipeline;
  int64_t examples = 0;
  std::vector<std::string> element;
};

SetFacts FactsOf(const std::string& name, const data::Dataset& set) {
  SetFacts facts{name, set.ToString(), set.rows(), {}};
  for (const TensorSpec& spec : set.element_spec()) facts.element.push_back(spec.ToString());
  return facts;
}

int Check(const JobConfig& job, int processes, bool json) {
  RunDir(job).CheckWritable();
  SetComputeThreads(job, 1);
  JobRun run(job, std::make_shared<OneDeviceStrategy>());
  std::vector<SetFacts> sets;
  for (const auto& [name, set] : {std::pair("train", &run.train),
                                  std::pair("validation", &run.validation),
                                  std::pair("test", &run.test)}) {
    if (*set) sets.push_back(FactsOf(name, **set));
  }
  run.Build();
  const int64_t rows = run.train->batch_size() / processes;
  const PlanReport report = run.trainer->TrainPlan(rows)->report();
  FitOptions one_step;
  one_step.max_steps = 1;
  run.trainer->Fit(*run.train, one_step);
  const Logs first = run.trainer->CurrentLogs();
  const size_t memory = report.arena_bytes + report.scratch_bytes + report.constant_bytes +
                        report.variable_bytes + report.bucket_bytes;
  if (json) {
    nlohmann::ordered_json object = {
        {"job", job.name}, {"hash", job.Hash()}, {"parameters", run.model->CountParams()},
        {"batch_per_process", rows}, {"step_memory_bytes", memory},
        {"activation_bytes", report.arena_bytes}, {"variable_bytes", report.variable_bytes},
        {"gradient_bytes", report.bucket_bytes}};
    for (const SetFacts& set : sets) {
      object["data"][set.name] = {{"pipeline", set.pipeline}, {"examples", set.examples},
                                  {"element", set.element}};
    }
    for (const auto& [name, value] : first) object["first_step"][name] = value;
    fmt::print("{}\n", object.dump(2));
    return kExitOk;
  }
  for (const SetFacts& set : sets) {
    fmt::print("data.{:<10} {} examples: {}\n{:16}{}\n", set.name, set.examples, set.pipeline, "",
               fmt::join(set.element, ", "));
  }
  fmt::print("{}\n", run.model->summary());
  fmt::print("a step of {} examples: {} ({} of activations, {} of variables, {} of gradients)\n",
             rows, FormatBytes(memory), FormatBytes(report.arena_bytes), FormatBytes(report.variable_bytes),
             FormatBytes(report.bucket_bytes));
  fmt::print("first step: {}\n", FormatLogs(first));
  fmt::print("{} is fine\n", job.name);
  return kExitOk;
}

std::function<int()> SetUp(const CommandLine& line) {
  auto job = AddJobArguments(line);
  auto json = std::make_shared<bool>(false);
  auto processes = std::make_shared<int>(LaunchSize());
  line.Add("--json", json.get(), "One JSON object");
  line.Add("--processes", processes.get(), "Check for a launch of so many; this one's unless set").Range(1, 65536);
  return [=]() -> int {
    const JobConfig config = job->Load(*processes);
    // Every process would find the same: one of them looks.
    return LaunchRank() > 0 ? kExitOk : Check(config, *processes, *json);
  };
}

const CommandRegistrar registrar("check", {"Try a job without training: data, shapes, memory", 4,
                                           SetUp});

}  // namespace
}  // namespace tributary

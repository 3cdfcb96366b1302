// tributary graph JOB: the training step as it is run: nodes, fusions, memory,
// schedule; --dot for Graphviz.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/graph/graphdef.h"
#include "core/runtime/report.h"
#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"
#include "launch/cli/job_arguments.h"
#include "launch/roles/job_run.h"
#include "trainer/strategy/one_device.h"

namespace tributary {
namespace {

struct Arguments {
  bool json = false, dot = false, graphdef = false;
  int64_t rows = 0;
};

void PrintJson(const JobConfig& job, int64_t rows, const PlanReport& r) {
  using Json = nlohmann::ordered_json;
  Json steps = Json::array();
  for (const PlanReport::Step& step : r.steps) {
    steps.push_back({{"name", step.name}, {"op", step.op}, {"output", step.output},
                     {"arena_offset_bytes", step.arena_offset}, {"bytes", step.bytes},
                     {"in_place", step.in_place}, {"asynchronous", step.asynchronous},
                     {"fused", step.fused}, {"inputs", step.inputs}});
  }
  const Json object = {{"job", job.name}, {"rows", rows},
                       {"nodes", {{"traced", r.nodes_traced}, {"pruned", r.nodes_pruned},
                                  {"folded", r.nodes_folded}, {"merged", r.nodes_merged},
                                  {"fused", r.nodes_fused}, {"scheduled", r.steps.size()}}},
                       {"fusions", r.fusions},
                       {"memory", {{"arena_bytes", r.arena_bytes}, {"naive_bytes", r.naive_bytes},
                                   {"scratch_bytes", r.scratch_bytes},
                                   {"constant_bytes", r.constant_bytes},
                                   {"variable_bytes", r.variable_bytes},
                                   {"bucket_bytes", r.bucket_bytes}}},
                       {"schedule", steps}};
  fmt::print("{}\n", object.dump(2));
}

int PrintGraph(const JobConfig& job, const Arguments& arguments) {
  SetComputeThreads(job, 1);
  JobRun run(job, std::make_shared<OneDeviceStrategy>());
  run.Build();
  const int64_t rows = arguments.rows > 0 ? arguments.rows : run.train->batch_size();
  const PlanReport& report = run.trainer->TrainPlan(rows)->report();
  if (arguments.graphdef) {
    fmt::print("{}", GraphDefText(run.trainer->TrainGraph(rows), {.output_shapes = true}));
  } else if (arguments.dot) {
    fmt::print("{}", ReportDot(report, job.name));
  } else if (arguments.json) {
    PrintJson(job, rows, report);
  } else {
    fmt::print("{}", ReportText(report, fmt::format("{}, a step of {} examples", job.name, rows)));
  }
  return kExitOk;
}

std::function<int()> SetUp(const CommandLine& line) {
  auto job = AddJobArguments(line);
  auto arguments = std::make_shared<Arguments>();
  const Argument dot =
      line.Add("--dot", &arguments->dot, "Graphviz: | dot -Tsvg > step.svg");
  const Argument graphdef =
      line.Add("--graphdef", &arguments->graphdef, "TensorFlow's GraphDef, as text");
  line.Add("--json", &arguments->json, "One JSON object").Excludes(dot).Excludes(graphdef);
  dot.Excludes(graphdef);
  line.Add("--rows", &arguments->rows, "Examples of the step; data.train.batch unless given")
      .Positive(INT32_MAX);
  return [=] { return PrintGraph(job->Load(1), *arguments); };
}

const CommandRegistrar registrar("graph", {"Print the training step: nodes, memory, schedule", 5,
                                           SetUp, true});

}  // namespace
}  // namespace tributary

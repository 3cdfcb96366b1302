// tributary graph JOB: the training step as it is run: nodes, fusions, memory,
// schedule; --dot for Graphviz.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/base/strings.h"
#include "core/graph/graphdef.h"
#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"
#include "launch/cli/job_arguments.h"
#include "launch/cli/units.h"
#include "launch/roles/job_run.h"
#include "trainer/strategy/one_device.h"

namespace tributary {
namespace {

struct Arguments {
  bool json = false, dot = false, graphdef = false;
  int64_t rows = 0;
};

std::string DotText(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// "dense/MatMul:0" -> "dense/MatMul"
std::string NodeOf(const std::string& input) {
  const std::string name = input.substr(0, input.rfind(':'));
  return StartsWith(name, "^") ? name.substr(1) : name;
}

void PrintDot(const PlanReport& report) {
  fmt::print("digraph step {{\n  rankdir=TB;\n  node [shape=box, fontsize=10];\n");
  for (const PlanReport::Step& step : report.steps) {
    const char* style = step.fused.empty() ? "" : ", style=filled, fillcolor=lightblue";
    fmt::print("  \"{}\" [label=\"{}\\n{}\\n{}\"{}];\n", DotText(step.name), DotText(step.name),
               DotText(step.op), DotText(step.output), style);
    for (const std::string& input : step.inputs) {
      fmt::print("  \"{}\" -> \"{}\";\n", DotText(NodeOf(input)), DotText(step.name));
    }
  }
  fmt::print("}}\n");
}

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

void PrintText(const JobConfig& job, int64_t rows, const PlanReport& r) {
  fmt::print("{}: one training step of {} examples\n\n", job.name, rows);
  fmt::print("nodes   {} traced, {} pruned, {} folded, {} merged, {} fused away: {} run\n",
             r.nodes_traced, r.nodes_pruned, r.nodes_folded, r.nodes_merged, r.nodes_fused,
             r.steps.size());
  fmt::print("memory  {} planned, {} with a buffer for each tensor", Bytes(r.arena_bytes),
             Bytes(r.naive_bytes));
  if (r.naive_bytes > 0) fmt::print(" ({:.0f} %)", 100.0 * r.arena_bytes / r.naive_bytes);
  fmt::print("\n        {} scratch, {} constants, {} variables, {} gradient buckets\n",
             Bytes(r.scratch_bytes), Bytes(r.constant_bytes), Bytes(r.variable_bytes),
             Bytes(r.bucket_bytes));
  fmt::print("\nfusions\n");
  for (const std::string& fusion : r.fusions) fmt::print("  {}\n", fusion);
  if (r.fusions.empty()) fmt::print("  none\n");
  fmt::print("\nschedule\n");
  int index = 0;
  for (const PlanReport::Step& step : r.steps) {
    std::string notes;
    if (step.in_place) notes += "  in place";
    if (step.asynchronous) notes += "  asynchronous";
    fmt::print("{:>4}  {:<28} {:<44} {:<26} @{}{}\n", index++, step.op, step.name, step.output,
               step.arena_offset, notes);
  }
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
    PrintDot(report);
  } else if (arguments.json) {
    PrintJson(job, rows, report);
  } else {
    PrintText(job, rows, report);
  }
  return kExitOk;
}

std::function<int()> SetUp(CLI::App& app) {
  auto job = AddJobArguments(app);
  auto arguments = std::make_shared<Arguments>();
  app.add_flag("--dot", arguments->dot, "Graphviz: | dot -Tsvg > step.svg");
  app.add_flag("--graphdef", arguments->graphdef, "TensorFlow's GraphDef, as text");
  app.add_flag("--json", arguments->json, "One JSON object");
  app.add_option("--rows", arguments->rows, "Examples of the step; data.train.batch unless given")
      ->check(CLI::PositiveNumber);
  return [=] { return PrintGraph(job->Load(1), *arguments); };
}

const CommandRegistrar registrar("graph", {"Print the training step: nodes, memory, schedule", 5,
                                           SetUp});

}  // namespace
}  // namespace tributary

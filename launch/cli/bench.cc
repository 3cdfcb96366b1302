// tributary bench step JOB: how fast a training step is. (bench ps: bench_ps.h; bench
// stragglers: bench_stragglers.h)

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/base/parallel.h"
#include "distribute/job/job_context.h"
#include "launch/bench/step_bench.h"
#include "launch/cli/bench_ps.h"
#include "launch/cli/bench_stragglers.h"
#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"
#include "launch/cli/job_arguments.h"

namespace tributary {
namespace {

double GflopsPerSecond(const StepBenchResult& r) {
  return r.floor.median > 0 ? static_cast<double>(r.flops) / r.floor.median / 1e3 : 0;
}

// Documented by its keys, units included; figures that were not measured are absent.
std::string ToJson(const JobConfig& job, const StepBenchResult& r) {
  nlohmann::ordered_json o;
  o["job"] = job.name;
  o["strategy"] = r.strategy;
  o["threads"] = r.threads;
  o["replicas"] = r.replicas;
  o["batch_per_replica"] = r.rows;
  const auto put = [&](const std::string& name, const StepTime& time) {
    o[name + "_us"] = time.median;
    o[name + "_best_us"] = time.best;
  };
  put("bare_step", r.bare);
  put("train_step", r.train);
  o["train_over_bare"] = r.train_over_bare;
  if (r.floor.median > 0) {
    put("floor", r.floor);
    o["bare_over_floor"] = r.bare_over_floor;
    o["floor_gflops_per_second"] = GflopsPerSecond(r);
    o["floor_update_bytes"] = r.update_bytes;
  }
  if (r.independent.median > 0) {
    put("independent_step", r.independent);
    put("together_step", r.together);
    o["rate_over_independent"] = r.rate_over_independent;
  }
  o["samples_per_second"] = r.samples_per_second();
  o["plan_launches"] = r.plan_launches;
  o["startup_us"] = r.startup_us;
  return o.dump(2);
}

void Print(const JobConfig& job, const StepBenchResult& r) {
  fmt::print("{}: {}, {} thread(s), batch {} a replica, {} launches a step\n", job.name,
             r.strategy, r.threads, r.rows, r.plan_launches);
  const auto line = [](const char* name, const StepTime& time, const std::string& note) {
    fmt::print("  {:<28}{:>12.2f} us   (best {:.2f}{})\n", name, time.median, time.best, note);
  };
  line("bare step", r.bare, "");
  line("step inside train", r.train,
       fmt::format(", {:.3f} x bare, {:.0f} samples/s", r.train_over_bare,
                   r.samples_per_second()));
  if (r.floor.median > 0) {
    line("floor", r.floor,
         fmt::format("; bare is {:.3f} x the floor; {:.0f} GFLOP/s", r.bare_over_floor,
                     GflopsPerSecond(r)));
  }
  if (r.independent.median > 0) {
    line("independent ranks", r.independent, "");
    line("together", r.together,
         fmt::format("; {:.3f} x the rate of independent ranks", r.rate_over_independent));
  }
  fmt::print("  {:<28}{:>12.2f} ms\n", "data and model to first step", r.startup_us / 1e3);
}

struct BenchArguments {
  int threads = 1;
  double seconds = 2;
  bool json = false;
};

int RunStepBench(const JobConfig& job, const BenchArguments& arguments) {
  SetNumThreads(arguments.threads);
  const Cluster cluster = ResolveCluster(job.cluster().String("resolver"));
  const std::unique_ptr<JobContext> context = JobContext::Connect(cluster);
  try {
    const StepBenchResult result =
        BenchStep(job, *context, {.seconds = arguments.seconds});
    if (context->cluster().is_chief) {
      if (arguments.json) {
        fmt::print("{}\n", ToJson(job, result));
      } else {
        Print(job, result);
      }
    }
    context->Finish();
    return kExitOk;
  } catch (const std::exception& e) {
    context->ReportFailure(e.what());
    throw;
  }
}

std::function<int()> SetUp(const CommandLine& line) {
  line.RequireCommand();
  const CommandLine step = line.AddCommand(
      "step", "Time a training step: alone, inside train, and at the machine's floor");
  auto job = AddJobArguments(step);
  auto arguments = std::make_shared<BenchArguments>();
  step.Add("--threads", &arguments->threads, "Compute threads of each process").Range(1, 1024);
  step.Add("--seconds", &arguments->seconds, "Time to measure each figure for").Range(0.05, 600.0);
  step.Add("--json", &arguments->json, "One JSON object");
  const CommandLine ps = line.AddCommand(
      "ps", "Time lookups and pushes of a parameter server against a bare socket");
  const std::function<int()> run_ps = SetUpBenchPs(ps);
  const CommandLine stragglers = line.AddCommand(
      "stragglers", "Time workers that stumble now and then, in each consistency");
  const std::function<int()> run_stragglers = SetUpBenchStragglers(stragglers);
  return [=] {
    if (stragglers.chosen()) return run_stragglers();
    return ps.chosen() ? run_ps() : RunStepBench(job->Load(), *arguments);
  };
}

const CommandRegistrar registrar("bench", {"Measure against what the machine allows", 60, SetUp});

}  // namespace
}  // namespace tributary

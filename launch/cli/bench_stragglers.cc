#include "launch/cli/bench_stragglers.h"

#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "launch/bench/ps_stragglers.h"
#include "launch/cli/exit_codes.h"

namespace tributary {
namespace {

using Json = nlohmann::ordered_json;

const char* NameOf(StragglerPattern pattern) {
  return pattern == StragglerPattern::kEach ? "each" : "one";
}

// Documented by its keys, units included.
Json ToJson(const StragglerOptions& options, const StragglerResult& result) {
  Json o;
  o["pattern"] = NameOf(options.pattern);
  o["workers"] = options.workers;
  o["steps"] = options.steps;
  o["step_ms"] = options.step_ms;
  o["probability"] = options.probability;
  o["pause_steps"] = options.pause_steps;
  o["seed"] = options.seed;
  o["carrier"] = options.carrier;
  for (const StragglerRun& run : result.runs) {
    o["runs"].push_back({{"consistency", run.name},
                         {"steps_per_second", run.steps_per_second},
                         {"over_sync", run.over_sync},
                         {"allowed_over_sync", run.allowed_over_sync},
                         {"stalest", run.stalest}});
  }
  o["target_over_sync"] = StragglerResult::kTarget;
  o["target_staleness"] = StragglerResult::kJudged;
  o["holds"] = result.holds();
  return o;
}

void Print(const StragglerOptions& o, const StragglerResult& result) {
  fmt::print("{} workers, {} steps of {} ms over {}; {} with probability {}: sleeps {} step times\n",
             o.workers, o.steps, o.step_ms, o.carrier,
             o.pattern == StragglerPattern::kEach ? "each worker of each step"
                                                  : "any one worker of each step",
             o.probability, o.pause_steps);
  fmt::print("{:<16}{:>12}{:>12}{:>18}{:>10}\n", "", "steps/s", "over sync", "delays allow",
             "stalest");
  for (const StragglerRun& run : result.runs) {
    fmt::print("{:<16}{:>12.1f}{:>12.2f}{:>18.2f}{:>10}\n", run.name, run.steps_per_second,
               run.over_sync, run.allowed_over_sync, run.stalest);
  }
  fmt::print("staleness {} at least {} x sync: {}\n\n", StragglerResult::kJudged,
             StragglerResult::kTarget, result.holds() ? "holds" : "MISSED");
}

int Run(StragglerOptions options, const std::string& pattern, bool json) {
  if (::isatty(STDERR_FILENO)) {
    options.progress = [](const std::string& what) { fmt::print(stderr, "... {}\n", what); };
  }
  Json all = Json::array();
  for (const StragglerPattern p : {StragglerPattern::kEach, StragglerPattern::kOne}) {
    if (pattern != "both" && pattern != NameOf(p)) continue;
    options.pattern = p;
    const StragglerResult result = BenchStragglers(options);
    if (json) {
      all.push_back(ToJson(options, result));
    } else {
      Print(options, result);
    }
  }
  if (json) fmt::print("{}\n", all.dump(2));
  return kExitOk;
}

}  // namespace

std::function<int()> SetUpBenchStragglers(const CommandLine& line) {
  auto options = std::make_shared<StragglerOptions>();
  auto pattern = std::make_shared<std::string>("one");
  auto json = std::make_shared<bool>(false);
  line.Add("--steps", &options->steps, "Steps of a worker, on average, in each consistency")
      .Range(1, 1'000'000);
  line.Add("--step-ms", &options->step_ms, "Time that a step computes").Range(0.1, 1000.0);
  line.Add("--workers", &options->workers, "Threads that train").Range(1, 256);
  line.Add("--probability", &options->probability, "Of a worker to stumble in a step")
      .Range(0.0, 1.0);
  line.Add("--pause", &options->pause_steps, "Step times that it sleeps then").Range(0.0, 1000.0);
  line.Add("--pattern", pattern.get(),
           "each: workers stumble on their own; one: at most one in a step")
      .OneOf({"each", "one", "both"});
  line.Add("--carrier", &options->carrier, "What messages travel by").OneOf({"tcp", "inproc"});
  line.Add("--seed", &options->seed, "Of the delays");
  line.Add("--json", json.get(), "A JSON list with an object for each pattern");
  return [=] { return Run(*options, *pattern, *json); };
}

}  // namespace tributary

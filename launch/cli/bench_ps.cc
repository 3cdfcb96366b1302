#include "launch/cli/bench_ps.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/base/strings.h"
#include "core/update/update_rule.h"
#include "launch/bench/ps_bench.h"
#include "launch/cli/exit_codes.h"

namespace tributary {
namespace {

using Json = nlohmann::ordered_json;

Json RowsToJson(const PsRowsResult& r) {
  Json o;
  o["dim"] = r.dim;
  o["optimizer"] = r.optimizer;
  o["keys_per_second"] = r.keys_per_second;
  o["in_turns_keys_per_second"] = r.in_turns_keys_per_second;
  o["raw_keys_per_second"] = r.raw_keys_per_second;
  o["over_raw"] = r.keys_per_second / r.raw_keys_per_second;
  if (r.target > 0) {
    o["target_keys_per_second"] = r.target;
    o["required_keys_per_second"] = r.required();
    o["holds"] = r.holds();
  }
  return o;
}

// Documented by its keys, units included; figures that were not measured are absent.
Json ToJson(const PsBenchOptions& options, const PsBenchResult& r) {
  Json o;
  o["rows"] = options.rows;
  o["keys_per_batch"] = r.keys_per_batch;
  o["unique_keys_per_batch"] = r.unique_keys;
  o["worker_core"] = r.worker_core;
  o["server_core"] = r.server_core;
  o["one_key_pull"] = {{"p50_us", r.pull.ours.p50_us},
                       {"p99_us", r.pull.ours.p99_us},
                       {"raw_p50_us", r.pull.raw.p50_us},
                       {"raw_p99_us", r.pull.raw.p99_us},
                       {"p50_over_raw", r.pull.ratio50()},
                       {"p99_over_raw", r.pull.ratio99()},
                       {"target_p50_over_raw", PsPullResult::kTarget50},
                       {"target_p99_over_raw", PsPullResult::kTarget99},
                       {"holds", r.pull.holds()}};
  o["dense_push_pull"] = {{"gigabytes_per_second", r.dense.ours},
                          {"raw_stream_gigabytes_per_second", r.dense.raw},
                          {"raw_duplex_gigabytes_per_second", r.dense.raw_duplex},
                          {"over_raw_stream", r.dense.ratio()},
                          {"target_over_raw_stream", PsDenseResult::kTarget},
                          {"holds", r.dense.holds()}};
  for (const PsRowsResult& rows : r.rows) o["lookup_push"].push_back(RowsToJson(rows));
  for (const PsLogResult& log : r.log) {
    o["log"] = {{"dim", log.dim},
                {"keys_per_second", log.with_keys_per_second},
                {"without_keys_per_second", log.without_keys_per_second},
                {"cost_percent", log.cost_percent()},
                {"target_cost_percent", PsLogResult::kTargetPercent},
                {"holds", log.holds()}};
  }
  return o;
}

const char* Verdict(bool holds) { return holds ? "holds" : "MISSED"; }

void Print(const PsBenchOptions& options, const PsBenchResult& r) {
  fmt::print("one server, one worker, loopback TCP, cores {} and {}\n\n", r.server_core,
             r.worker_core);
  fmt::print("{:<26}{:>12}{:>12}{:>8}  {}\n", "", "ours", "raw socket", "ratio", "target");
  const PsPullResult& p = r.pull;
  fmt::print("{:<26}{:>9.1f} us{:>9.1f} us{:>8.2f}  at most {}\n", "pull of one key, p50",
             p.ours.p50_us, p.raw.p50_us, p.ratio50(), PsPullResult::kTarget50);
  fmt::print("{:<26}{:>9.1f} us{:>9.1f} us{:>8.2f}  at most {}: {}\n", "  p99", p.ours.p99_us,
             p.raw.p99_us, p.ratio99(), PsPullResult::kTarget99, Verdict(p.holds()));
  const PsDenseResult& d = r.dense;
  fmt::print("{:<26}{:>7.2f} GB/s{:>7.2f} GB/s{:>8.2f}  at least {}: {}\n",
             "push-pull of 40 x 1 MB", d.ours, d.raw, d.ratio(), PsDenseResult::kTarget,
             Verdict(d.holds()));
  fmt::print("\nlookup + push of {} ids ({} different) of {} rows, million keys a second\n",
             r.keys_per_batch, r.unique_keys, options.rows);
  fmt::print("{:<26}{:>12}{:>12}{:>12}{:>8}  {}\n", "dim, optimizer", "ours", "in turns",
             "raw socket", "ratio", "target");
  for (const PsRowsResult& rows : r.rows) {
    fmt::print("{:<26}{:>12.2f}{:>12.2f}{:>12.2f}{:>8.2f}  {}\n",
               fmt::format("{}, {}", rows.dim, rows.optimizer), rows.keys_per_second / 1e6,
               rows.in_turns_keys_per_second / 1e6, rows.raw_keys_per_second / 1e6,
               rows.keys_per_second / rows.raw_keys_per_second,
               rows.target > 0 ? fmt::format("at least {:.2f}: {}", rows.required() / 1e6,
                                             Verdict(rows.holds()))
                               : "");
  }
  for (const PsLogResult& log : r.log) {
    fmt::print("\nthe log costs {:.1f} % ({}, SGD: {:.2f} instead of {:.2f}); at most {}: {}\n",
               log.cost_percent(), log.dim, log.with_keys_per_second / 1e6,
               log.without_keys_per_second / 1e6, PsLogResult::kTargetPercent,
               Verdict(log.holds()));
  }
}

int Run(PsBenchOptions options, bool json) {
  if (::isatty(STDERR_FILENO)) {
    options.progress = [](const std::string& what) { fmt::print(stderr, "... {}\n", what); };
  }
  const PsBenchResult result = BenchPs(options);
  if (json) {
    fmt::print("{}\n", ToJson(options, result).dump(2));
  } else {
    Print(options, result);
  }
  return kExitOk;
}

}  // namespace

std::function<int()> SetUpBenchPs(const CommandLine& line) {
  auto options = std::make_shared<PsBenchOptions>();
  auto json = std::make_shared<bool>(false);
  auto no_log = std::make_shared<bool>(false);
  line.Add("--seconds", &options->seconds, "Time to measure each figure for").Range(0.01, 600.0);
  line.Add("--rows", &options->rows, "Rows of the embedding table").Range(1, 100'000'000);
  line.Add("--dims", &options->dims, "Weights of a row, one figure for each")
      .Delimiter(',')
      .Range(1, 1024);
  line.Add("--optimizers", &options->optimizers, "Optimizers of the table")
      .Delimiter(',')
      .Check([](const std::string& name) -> std::string {
        const std::vector<std::string> known = UpdateRules().Names();
        if (std::find(known.begin(), known.end(), name) != known.end()) return {};
        return fmt::format("there is no optimizer '{}'{}", name, DidYouMean(name, known));
      });
  line.Add("--no-log", no_log.get(), "Leave out what the log costs (it writes up to 2 GB)");
  line.Add("--json", json.get(), "One JSON object");
  return [=] {
    options->log = !*no_log;
    return Run(*options, *json);
  };
}

}  // namespace tributary

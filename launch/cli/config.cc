// tributary config show|schema: a job with all its values; the schema of jobs.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"
#include "launch/cli/job_arguments.h"
#include "launch/config/json_schema.h"
#include "launch/config/block_callbacks.h"
#include "launch/config/yaml_writer.h"

namespace tributary {
namespace {

int Show(const JobArguments& arguments, bool json, bool origins) {
  const JobConfig job = arguments.Load();
  if (json) {
    auto object = nlohmann::ordered_json::parse(job.options.ToJson());
    object["job"] = job.name;
    object["run_dir"] = job.run_dir;
    fmt::print("{}\n", object.dump(2));
    return kExitOk;
  }
  fmt::print("# {}: hash {}\n{}", job.name, job.Hash(), WriteYaml(ForWriting(job.options), origins));
  return kExitOk;
}

std::function<int()> SetUp(const CommandLine& line) {
  line.RequireCommand();
  const CommandLine show = line.AddCommand("show", "Print every value with where it came from");
  auto arguments = AddJobArguments(show);
  auto json = std::make_shared<bool>(false);
  auto bare = std::make_shared<bool>(false);
  show.Add("--json", json.get(), "One JSON object, without origins");
  show.Add("--no-origin", bare.get(), "Only the values: a job that needs no defaults");
  const CommandLine schema = line.AddCommand("schema", "Print the JSON Schema of jobs");
  return [=] {
    if (show.chosen()) return Show(*arguments, *json, !*bare);
    if (schema.chosen()) fmt::print("{}", JobJsonSchema());
    return static_cast<int>(kExitOk);
  };
}

const CommandRegistrar registrar(
    "config", {"Show a job with all defaults, or the schema of jobs", 50, SetUp, true});

}  // namespace
}  // namespace tributary

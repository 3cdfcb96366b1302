// tributary version: what this binary is made of.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "launch/cli/build_info.h"
#include "launch/cli/cli.h"
#include "launch/cli/exit_codes.h"

namespace tributary {
namespace {

std::function<int()> SetUp(const CommandLine& line) {
  auto json = std::make_shared<bool>(false);
  line.Add("--json", json.get(), "One JSON object");
  return [json] {
    Facts facts = BuildFacts();
    for (auto& library : LibraryFacts()) facts.push_back(std::move(library));
    if (*json) {
      nlohmann::ordered_json object;
      for (const auto& [name, value] : facts) object[name] = value;
      fmt::print("{}\n", object.dump(2));
      return kExitOk;
    }
    for (const auto& [name, value] : facts) fmt::print("{:<12} {}\n", name, value);
    return kExitOk;
  };
}

const CommandRegistrar registrar("version", {"Print version, build and libraries", 100, SetUp, true});

}  // namespace
}  // namespace tributary

#include "distribute/cluster/cluster.h"

#include <unistd.h>

#include <charconv>
#include <cstdlib>

namespace tributary {

std::string Cluster::LogPrefix() const {
  return fmt::format("{} {}@{}", task.type, task.index, host);
}

Environment ProcessEnvironment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

Registry<ClusterResolver>& ClusterResolverRegistry() {
  static auto* registry = new Registry<ClusterResolver>("cluster resolver");
  return *registry;
}

Cluster ResolveCluster(const std::string& resolver, const Environment& environment) {
  const auto& registry = ClusterResolverRegistry();
  std::string chosen = resolver;
  if (resolver == "auto") {
    int best = -1;
    for (const auto& [name, entry] : registry.entries()) {
      if (entry.priority > best && entry.detects(environment)) {
        chosen = name;
        best = entry.priority;
      }
    }
  } else if (!registry.Get(resolver).detects(environment)) {
    throw FailedPreconditionError(
        "[cluster] resolver '{}' was asked for, but its variables are not in the environment; "
        "start the job through its launcher, or use `auto`",
        resolver);
  }
  Cluster cluster = registry.Get(chosen).resolve(environment);
  cluster.resolver = chosen;
  if (cluster.host.empty()) cluster.host = HostName();
  return cluster;
}

int IntVariable(const Environment& environment, const std::string& name, int low, int high) {
  const std::optional<std::string> text = environment(name);
  if (!text) throw InvalidArgumentError("[cluster] environment variable {} is missing", name);
  int value = 0;
  const char* end = text->data() + text->size();
  const auto result = std::from_chars(text->data(), end, value);
  if (result.ec != std::errc() || result.ptr != end || value < low || value > high) {
    throw InvalidArgumentError("[cluster] environment variable {}: expected a number in [{}, {}], "
                               "got '{}'",
                               name, low, high, *text);
  }
  return value;
}

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return "localhost";
  // The short name: log lines are read by people.
  return std::string(name).substr(0, std::string_view(name).find('.'));
}

}  // namespace tributary

#pragma once
// Who this process is among the processes of the job, and how it was found out.
//
// Resolvers register themselves; ResolveCluster asks them by priority: TF_CONFIG
// (somebody wrote it on purpose), mpirun, Slurm, none.

#include <functional>
#include <optional>
#include <string>

#include "core/base/registry.h"
#include "distribute/cluster/cluster_spec.h"

namespace tributary {

struct Cluster {
  std::string resolver = "none";
  ClusterSpec spec;  // empty: this process is alone
  Task task;
  bool is_chief = true;
  int rank = 0;        // among chief and workers, the chief first
  int world_size = 1;  // chief and workers
  int local_rank = 0;  // among those of this host, when the launcher tells
  int local_size = 1;
  std::string host;
  // The communicator that the launcher has wired up ("mpi"), or that the addresses
  // allow ("tcp"), or "".
  std::string communicator;

  Role role() const { return RoleOf(task); }
  // "worker 1@host": the prefix of log lines.
  std::string LogPrefix() const;
};

// Looks a variable up; tests pass a map.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment ProcessEnvironment();

struct ClusterResolver {
  int priority = 0;  // higher is asked first
  std::function<bool(const Environment&)> detects;
  // Throws InvalidArgumentError naming the variable at fault.
  std::function<Cluster(const Environment&)> resolve;
};

Registry<ClusterResolver>& ClusterResolverRegistry();

// `resolver` is a registered name or "auto". Throws NotFoundError for an unknown
// name, FailedPreconditionError when the named one finds nothing, and what the
// resolver throws.
Cluster ResolveCluster(const std::string& resolver = "auto",
                       const Environment& environment = ProcessEnvironment());

// For resolvers: an integer variable within [low, high]. Throws
// InvalidArgumentError that names it.
int IntVariable(const Environment& environment, const std::string& name, int low, int high);
std::string HostName();

struct ClusterResolverRegistrar {
  ClusterResolverRegistrar(const char* name, ClusterResolver resolver) {
    ClusterResolverRegistry().Add(name, std::move(resolver));
  }
};
#define TRB_REGISTER_CLUSTER_RESOLVER(name, ...) \
  static const ::tributary::ClusterResolverRegistrar TRB_UNIQUE(cluster_resolver_)(name, __VA_ARGS__)

}  // namespace tributary

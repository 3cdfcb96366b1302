// Open MPI's mpirun (OMPI_COMM_WORLD_*) and Hydra's mpiexec (PMI_*): every rank
// is a worker, rank 0 is the chief.

#include "distribute/cluster/cluster.h"

namespace tributary {
namespace {

constexpr int kMaxRanks = 1 << 20;

bool Detects(const Environment& env) {
  return env("OMPI_COMM_WORLD_SIZE").has_value() || env("PMI_SIZE").has_value();
}

Cluster Resolve(const Environment& env) {
  const bool open_mpi = env("OMPI_COMM_WORLD_SIZE").has_value();
  Cluster cluster;
  cluster.communicator = "mpi";
  cluster.world_size =
      IntVariable(env, open_mpi ? "OMPI_COMM_WORLD_SIZE" : "PMI_SIZE", 1, kMaxRanks);
  cluster.rank = IntVariable(env, open_mpi ? "OMPI_COMM_WORLD_RANK" : "PMI_RANK", 0,
                             cluster.world_size - 1);
  if (env("OMPI_COMM_WORLD_LOCAL_SIZE")) {
    cluster.local_size = IntVariable(env, "OMPI_COMM_WORLD_LOCAL_SIZE", 1, cluster.world_size);
    cluster.local_rank =
        IntVariable(env, "OMPI_COMM_WORLD_LOCAL_RANK", 0, cluster.local_size - 1);
  }
  for (int i = 0; i < cluster.world_size; ++i) cluster.spec.AddTask({kWorker, i}, "");
  cluster.task = {kWorker, cluster.rank};
  cluster.is_chief = cluster.rank == 0;
  return cluster;
}

TRB_REGISTER_CLUSTER_RESOLVER("mpirun",
                              {.priority = 20, .detects = Detects, .resolve = Resolve});

}  // namespace
}  // namespace tributary

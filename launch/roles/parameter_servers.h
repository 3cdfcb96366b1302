#pragma once
// A parameter-server job's processes: a chief, which leads and evaluates, workers, which
// train, servers, which keep the parameters.
//
//   mpirun -n 5     rank 0 is the chief, the last `servers` ranks are servers, the others
//                   workers
//   TF_CONFIG       as it says: chief, worker and ps with fixed addresses
//   one process     all of them as threads
//
// By TCP each worker and server runs under a supervisor that starts it again when it was
// killed; they find the chief by `<run_dir>/cluster/chief`, everybody else by the chief.
// By MPI all fail together.

#include <optional>
#include <string>

#include "distribute/cluster/cluster.h"
#include "distribute/strategies/parameter_server/config.h"
#include "launch/config/job.h"
#include "launch/roles/train.h"

namespace tributary {

// This process's place in the job.
struct PsPlace {
  PsConfig config;
  Cluster cluster;
  Task task;
  int workers = 1;
  std::string carrier;  // inproc, tcp, mpi
  int first_server = 0;  // mpi: its rank
};

// Empty: not such a job, or one that is trained by a single thread. Throws
// InvalidArgumentError when the launch has too few processes, or the carrier does not fit
// it.
std::optional<PsPlace> FindPsPlace(const JobConfig& job);

// Plays this process's role; returns its exit code.
int TrainWithParameterServers(const JobConfig& job, const TrainOptions& options,
                              const PsPlace& place);

}  // namespace tributary

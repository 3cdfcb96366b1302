#pragma once
// What chief, worker and server of a parameter-server job do, wherever they run.

#include <functional>
#include <memory>
#include <string>

#include "distribute/coordinator/coordinator.h"
#include "distribute/strategies/parameter_server/config.h"
#include "launch/roles/parameter_servers.h"

namespace tributary {

struct PsRole {
  const JobConfig& job;
  const PsPlace& place;
  TransportOptions transport;
  std::string run_dir;
  // Where the chief's coordinator is. UnavailableError: not known yet.
  std::function<std::string()> find_chief;
  int life = 1;
};

std::shared_ptr<coordinator::Coordinator> MakeCoordinator(const PsRole& role,
                                                          const std::string& address);
// The strategy of a chief whose coordinator listens already; waits for the servers.
std::shared_ptr<Strategy> MakeChiefStrategy(const PsRole& role,
                                            std::shared_ptr<coordinator::Coordinator> coordinator);

// Returns when the job has ended.
int RunPsWorker(const PsRole& role, int index);
// Listens at `address`.
int RunPsServer(const PsRole& role, int shard, const std::string& address);

// Writes `text` to <run_dir>/cluster/<name>.
void NoteInCluster(const std::string& run_dir, const std::string& name, const std::string& text);

}  // namespace tributary

#pragma once
// Which ranks share a host.

#include "distribute/comm/communicator.h"

namespace tributary {

struct HostLayout {
  int num_hosts = 1;
  int host = 0;        // of this rank; hosts are numbered by their lowest rank
  int local_rank = 0;  // among the ranks of this host, by rank
  int local_size = 1;
  std::vector<int> host_of;           // by rank
  std::vector<std::string> names;     // by rank: the host's name, for messages
  bool uniform = true;                // every host has local_size ranks

  // Ascending.
  std::vector<int> RanksOf(int host) const;
};

// Ranks share a host when they can open each other's memory: same machine, same
// pid namespace, same user. fake_hosts > 0 pretends that the ranks are spread over
// so many hosts in blocks (for tests). Collective. Throws InvalidArgumentError when
// fake_hosts exceeds the ranks.
HostLayout FindHosts(Communicator& comm, int fake_hosts = 0);

}  // namespace tributary

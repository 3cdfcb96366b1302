#pragma once
// Asks parameter servers for their figures, all at once, over connections that are kept.

#include <memory>
#include <string>
#include <vector>

#include "distribute/transport/transport.h"
#include "launch/ps_top/figures.h"

namespace tributary {

class PsPoller {
 public:
  // `timeout`: of one look at one server, connecting included.
  explicit PsPoller(SecurityOptions security, Millis timeout = Millis(3000));

  // One sample an address, in order. Does not throw for a server: its sample says why there
  // are no figures. One thread at a time.
  std::vector<PsSample> Ask(const std::vector<std::string>& addresses);

 private:
  struct Link {
    std::string address;
    std::unique_ptr<Channel> channel;
  };
  PsSample AskOne(Link* link) const;

  ChannelOptions options_;
  const Millis timeout_;
  std::vector<Link> links_;
};

// The addresses that a running job has written into <run_dir>/cluster/servers, one a line.
// Throws NotFoundError where there are none.
std::vector<std::string> ReadServers(const std::string& run_dir);

}  // namespace tributary

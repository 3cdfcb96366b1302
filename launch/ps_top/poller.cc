#include "launch/ps_top/poller.h"

#include <thread>

#include "core/base/errors.h"
#include "core/base/strings.h"
#include "core/io/env.h"
#include "distribute/ps/protocol.h"

namespace tributary {

PsPoller::PsPoller(SecurityOptions security, Millis timeout) : timeout_(timeout) {
  options_.security = std::move(security);
  options_.connect_timeout = timeout;
}

PsSample PsPoller::AskOne(Link* link) const {
  PsSample sample{.address = link->address};
  try {
    const Deadline deadline = After(timeout_);
    if (!link->channel) link->channel = Connect(link->address, Hello{.role = "top"}, options_);
    const Reply reply = link->channel->Call(ps::kStats, 0, {}, {}, {}, deadline);
    sample.stats = ps::Unpack<ps::ServerStats>(reply.control, "the figures of a server");
  } catch (const std::exception& e) {
    link->channel.reset();
    sample.error = e.what();
  }
  return sample;
}

std::vector<PsSample> PsPoller::Ask(const std::vector<std::string>& addresses) {
  links_.resize(addresses.size());
  std::vector<PsSample> samples(addresses.size());
  std::vector<std::jthread> askers;  // one that hangs does not keep the others from view
  for (size_t i = 0; i < addresses.size(); ++i) {
    if (links_[i].address != addresses[i]) links_[i] = {addresses[i], nullptr};
    askers.emplace_back([this, i, &samples] { samples[i] = AskOne(&links_[i]); });
  }
  askers.clear();
  return samples;
}

std::vector<std::string> ReadServers(const std::string& run_dir) {
  constexpr int64_t kMostBytes = 1 << 20;
  const std::string path = run_dir + "/cluster/servers";
  std::vector<std::string> addresses;
  if (PosixEnv()->Exists(path)) {
    for (const std::string& line : Split(ReadFile(PosixEnv(), path, kMostBytes), '\n')) {
      if (!Trim(line).empty()) addresses.emplace_back(Trim(line));
    }
  }
  if (!addresses.empty()) return addresses;
  throw NotFoundError("[ps] '{}' names no parameter servers; a running job with strategy "
                      "parameter_server writes it; is the job running, and is this its run_dir? "
                      "Or name the servers: --servers tcp://HOST:PORT,...",
                      path);
}

}  // namespace tributary

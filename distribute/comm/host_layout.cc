#include "distribute/comm/host_layout.h"

#include <unistd.h>

#include <fstream>

namespace tributary {
namespace {

// What two processes have in common if, and only if, one can open the other's
// /proc/<pid>/fd.
std::string HostKey() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  char ns[128] = {};
  if (readlink("/proc/self/ns/pid", ns, sizeof(ns) - 1) < 0) ns[0] = '\0';
  return fmt::format("{} {} {} {}", name, boot, ns, geteuid());
}

}  // namespace

std::vector<int> HostLayout::RanksOf(int wanted) const {
  std::vector<int> ranks;
  for (size_t r = 0; r < host_of.size(); ++r) {
    if (host_of[r] == wanted) ranks.push_back(static_cast<int>(r));
  }
  return ranks;
}

HostLayout FindHosts(Communicator& comm, int fake_hosts) {
  if (fake_hosts > comm.size()) {
    throw InvalidArgumentError("[comm] {} pretended hosts for {} ranks", fake_hosts, comm.size());
  }
  std::string key = HostKey();
  if (fake_hosts > 0) key += fmt::format(" #{}", comm.rank() * fake_hosts / comm.size());
  const std::vector<std::string> keys = AllGatherStrings(comm, key);
  HostLayout layout;
  std::map<std::string, int> numbers;
  std::vector<int> members;
  for (const std::string& k : keys) {
    const int host = numbers.emplace(k, static_cast<int>(numbers.size())).first->second;
    if (host == static_cast<int>(members.size())) members.push_back(0);
    ++members[host];
    layout.host_of.push_back(host);
    layout.names.push_back(k.substr(0, k.find(' ')));
  }
  layout.num_hosts = static_cast<int>(members.size());
  layout.host = layout.host_of[comm.rank()];
  layout.local_size = members[layout.host];
  for (int r = 0; r < comm.rank(); ++r) layout.local_rank += layout.host_of[r] == layout.host;
  for (const int count : members) layout.uniform &= count == members.front();
  return layout;
}

}  // namespace tributary

#pragma once
// Ranks that find each other by address and need no launcher: one connection a pair.
//
// Beyond loopback connections are TLS 1.3 with the job's key. Collectives send straight
// to everybody: a reduction is two steps however many ranks there are, each summing
// its slice in rank order, so that the bits are those of the local communicator.

#include "distribute/comm/communicator.h"

namespace tributary {

// Waits until all ranks of options.places are there. When the communicator goes, so do
// the connections: groups that were split off it are then of no more use. Throws as
// GatherRanks does (gather.h).
std::shared_ptr<Communicator> ConnectTcpRanks(const CommunicatorOptions& options);

}  // namespace tributary

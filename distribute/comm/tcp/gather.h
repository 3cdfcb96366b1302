#pragma once
// How the ranks of a job find each other: each listens at its own address, dials the
// lower ranks until they answer, and is dialled by the higher ones.

#include "distribute/comm/communicator.h"
#include "distribute/comm/tcp/mesh.h"

namespace tributary {

// Returns when all ranks are connected to all. Strangers at the address, and ranks of
// another program or another list of addresses, are refused. Throws DeadlineExceededError
// naming who is missing after places.timeout, AlreadyExistsError (the own address is in
// use), UnauthenticatedError (beyond loopback without a key, another key),
// InvalidArgumentError (an address), FailedPreconditionError (another program or
// list), DataLossError (something else answers), UnavailableError (another rank has
// failed).
std::shared_ptr<TcpMesh> GatherRanks(const RankPlaces& places, std::shared_ptr<JobHealth> health);

}  // namespace tributary

#pragma once
// Ranks are threads of this process. The reference implementation: sums run in
// rank order, arguments that differ between ranks are found and refused, every
// wait can be unwound. Used by unit tests and by jobs of one process.

#include "distribute/comm/communicator.h"

namespace tributary {

// One communicator a rank; hand each to its thread. `options.health` is shared by
// all of them.
std::vector<std::shared_ptr<Communicator>> MakeLocalCommunicators(
    int size, CommunicatorOptions options = {});

}  // namespace tributary

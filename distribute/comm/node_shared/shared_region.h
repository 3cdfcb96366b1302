#pragma once
// Memory that the ranks of one host share.
//
// Between processes it is an anonymous memory file (memfd) of the first rank,
// which the others open through /proc: it has no name that could be left behind
// by a crash, and no limit but memory itself (an MPI window lives in /dev/shm or
// the session directory, whose size limits turn into SIGBUS). Its pages are
// reserved before anybody touches them. Between threads it is heap memory.

#include <memory>

#include "distribute/comm/communicator.h"

namespace tributary {

// Zeroed memory of `bytes`, aligned to a page, the same on every rank of `host`
// (whose ranks must be on one host). Freed when the last rank lets go. Collective.
// Throws ResourceExhaustedError on every rank when the memory is not there.
std::shared_ptr<void> MakeSharedRegion(Communicator& host, size_t bytes);

// Bytes that this process may still take: the least of the machine's available
// memory and what its cgroup leaves.
size_t AvailableMemory();

}  // namespace tributary

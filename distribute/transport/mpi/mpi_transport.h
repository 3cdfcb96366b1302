#pragma once
// mpi://rank or mpi://rank/shard: the ranks of one MPI job. Heartbeats are those of the
// job (distribute/liveness): its ranks fail together, and a rank that is lost ends the
// others. MPI can't take back a message, so what is sent is copied first.

namespace tributary {

// Makes the transport's own communicator, so that its messages never meet those of
// collectives. Collective over the job: every rank calls it once (later calls do
// nothing), after MpiRuntime::Init and before the first Listen or Connect.
void InitMpiTransport();

}  // namespace tributary

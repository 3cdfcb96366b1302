#pragma once

namespace tributary {

// Rank that the launcher (mpirun, Slurm, PMI) gave this process, from its
// environment alone, before MPI starts; 0 when there is none.
int LaunchRank();
// Number of processes the launcher started; 1 when there is none.
int LaunchSize();

}  // namespace tributary

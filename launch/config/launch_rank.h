#pragma once

namespace tributary {

// Rank that the launcher (mpirun, Slurm, PMI) gave this process, from its
// environment alone, before MPI starts; 0 when there is none.
int LaunchRank();
// Number of processes the launcher started; 1 when there is none.
int LaunchSize();

// For a process that ends with an error which rank 0 tells for all: gives rank 0 a
// moment to do so, since a launcher ends the others as soon as the first is gone.
// Returns at once on rank 0 and for a process that is alone.
void LetRankZeroSpeak();

}  // namespace tributary

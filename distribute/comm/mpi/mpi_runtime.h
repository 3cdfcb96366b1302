#pragma once
// MPI of this process: initialised at most once, finalised only by a job that
// succeeded. No MPI header is needed to include this.

namespace tributary {

class MpiRuntime {
 public:
  // Initialises MPI with MPI_THREAD_MULTIPLE on the first call. Throws
  // FailedPreconditionError when the library does not give that level.
  static void Init();
  static bool initialized();

  // Ends MPI: collective over the job, waits for every rank. Called after
  // success only: a process that ends without it makes mpirun report a failure,
  // which is what a failed job wants, and finalising would wait for the dead.
  static void Finalize();
};

}  // namespace tributary

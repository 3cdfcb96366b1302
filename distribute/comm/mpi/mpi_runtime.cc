#include "distribute/comm/mpi/mpi_runtime.h"

#include "distribute/comm/mpi/mpi_c.h"

#include "core/base/errors.h"

namespace tributary {
namespace {

std::mutex mutex;

}  // namespace

bool MpiRuntime::initialized() {
  int initialized = 0, finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  return initialized && !finalized;
}

void MpiRuntime::Init() {
  std::lock_guard lock(mutex);
  if (initialized()) return;
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized) {
    throw FailedPreconditionError("[mpi] MPI was finalised; it can't be started again in a process");
  }
  int provided = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided);
  if (provided != MPI_THREAD_MULTIPLE) {
    throw FailedPreconditionError("[mpi] the MPI library gives thread level {}; expected "
                                  "MPI_THREAD_MULTIPLE ({}); build it with thread support",
                                  provided, static_cast<int>(MPI_THREAD_MULTIPLE));
  }
}

void MpiRuntime::Finalize() {
  std::lock_guard lock(mutex);
  if (initialized()) MPI_Finalize();
}

}  // namespace tributary

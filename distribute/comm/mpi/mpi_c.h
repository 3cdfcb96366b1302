#pragma once
// MPI's C interface without its C++ bindings, which would need a library of
// their own. For .cc files of this folder only.

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#pragma once
// Exit codes, after sysexits.h; mpirun passes a rank's own code through.

#include <exception>
#include <string>

#include "distribute/liveness/liveness_monitor.h"  // kExitPeersLost

namespace tributary {

enum ExitCode : int {
  kExitOk = 0,
  kExitInternal = 1,
  kExitUsage = 64,
  kExitData = 65,
  kExitNoInput = 66,
  kExitBug = 70,
  kExitCannotWrite = 73,
  kExitIo = 74,
  kExitPreempted = 75,
  kExitProtocol = 76,
  kExitAuth = 77,
  kExitConfig = 78,
  kExitNan = 80,
  kExitMemory = 137,
};

// One line a code, as --help prints them.
std::string ExitCodeTable();

// The code for what a command threw. Config and NaN errors have their own types.
int ExitCodeOf(const std::exception& error);

}  // namespace tributary

#pragma once
// tributary bench ps: parameter servers against what the socket allows.

#include <functional>

#include "launch/cli/command_line.h"

namespace tributary {

// Adds the options; what is returned runs the command after parsing.
std::function<int()> SetUpBenchPs(const CommandLine& line);

}  // namespace tributary

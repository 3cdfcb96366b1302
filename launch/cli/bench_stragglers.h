#pragma once
// tributary bench stragglers: what bounded staleness is worth where workers stumble.

#include <functional>

#include "launch/cli/command_line.h"

namespace tributary {

// Adds the options; what is returned runs the command after parsing.
std::function<int()> SetUpBenchStragglers(const CommandLine& line);

}  // namespace tributary

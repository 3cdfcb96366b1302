#pragma once
// tributary bench stragglers: what bounded staleness is worth where workers stumble.

#include <functional>

namespace CLI {
class App;
}

namespace tributary {

// Adds the options; what is returned runs the command after parsing.
std::function<int()> SetUpBenchStragglers(CLI::App& app);

}  // namespace tributary

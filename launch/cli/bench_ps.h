#pragma once
// tributary bench ps: parameter servers against what the socket allows.

#include <functional>

namespace CLI {
class App;
}

namespace tributary {

// Adds the options; what is returned runs the command after parsing.
std::function<int()> SetUpBenchPs(CLI::App& app);

}  // namespace tributary

#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tributary {

// What this binary is made of: version, commit, compiler, flags, libraries, CPU
// features in use, in the order to print.
std::vector<std::pair<std::string, std::string>> BuildFacts();

}  // namespace tributary

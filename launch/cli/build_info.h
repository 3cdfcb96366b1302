#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tributary {

// What this binary is made of, in the order to print: version, the commit that it was
// configured at (unless the sources were no checkout), compiler, build, threads.
std::vector<std::pair<std::string, std::string>> BuildFacts();

}  // namespace tributary

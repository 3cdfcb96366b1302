#pragma once
// What `tributary version` and `tributary doctor` say about this build.

#include <string>
#include <utility>
#include <vector>

namespace tributary {

using Facts = std::vector<std::pair<std::string, std::string>>;  // name and value

// Version, commit, compiler, build type, threads.
Facts BuildFacts();
// The libraries that this process runs with; of those that are compiled in, the version
// of their headers.
Facts LibraryFacts();

// Asked of the libraries; MPI need not run.
std::string OneDnnVersion();
std::string MpiVersion();

}  // namespace tributary

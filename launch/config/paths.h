#pragma once
// Input paths of a job.

#include <string>

namespace tributary {

// `path` if it is there or in a data folder (trainer/data/files.h); else sets
// *error, with what was meant perhaps. The path itself stays as it was written, so
// that a job means the same on every machine.
std::string CheckInputPath(const std::string& path, std::string* error);

// "; did you mean 'data/train.csv'?" for a path that does not exist, or "".
std::string NearPath(const std::string& path);

}  // namespace tributary

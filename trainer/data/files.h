#pragma once
// Where data sets are looked for.

#include <string>
#include <vector>

#include "core/io/env.h"

namespace tributary::data {

// TRIBUTARY_DATA_DIR alone when it is set; else `shared/data` and `.cache/data` in
// the working folder and in the program's, and in the folders above them. Only
// those that exist.
std::vector<std::string> DataDirs(Env* env);

// The first of `names` found in <dir>/<set> or <dir> of a data directory, or "".
std::string FindDataFile(Env* env, const std::string& set,
                         const std::vector<std::string>& names);

// `path` as it stands, or else in a data directory. Throws NotFoundError that says
// where it was looked for.
std::string FindInput(Env* env, const std::string& path);

}  // namespace tributary::data

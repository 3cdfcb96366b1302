#pragma once
// Input paths of a job.

#include <string>

namespace tributary {

// Where `path` is: as it stands, beside the job, in TRIBUTARY_DATA_DIR, or in
// shared/data beside the working folder. Sets *error, with what was meant perhaps,
// when it is nowhere.
std::string FindInputPath(const std::string& path, const std::string& job_folder,
                          std::string* error);

// "; did you mean 'data/train.csv'?" for a path that does not exist, or "".
std::string NearPath(const std::string& path);

}  // namespace tributary

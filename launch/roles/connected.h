#pragma once

#include <functional>
#include <string>

#include "launch/config/job.h"

namespace tributary {

class JobContext;

// Finds this process's place (cluster.resolver), connects it to the others of the
// launch, calls `body` and takes leave. What `body` throws is told to the others
// and thrown on, unless another process has said the same: then QuietExit is.
int RunConnected(const JobConfig& job, const std::function<int(JobContext&)>& body);

// Collective. Calls `part`, which every process does alike without waiting for
// another (reading data, building the model), and then waits for all. `part` returns
// what must be the same everywhere, in words. If it throws anywhere, or what it
// returned differs, no process goes on: rank 0 throws one error that says which ranks
// had it, the others throw QuietExit. Inside RunConnected.
void RunAlike(JobContext& context, const std::function<std::string()>& part);

// Collective. The same for a part that is the chief's alone; the others wait for it.
// Returns what it has returned, on all.
std::string RunOnChief(JobContext& context, const std::function<std::string()>& part);

}  // namespace tributary

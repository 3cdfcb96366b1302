#pragma once

#include <functional>

#include "launch/config/job.h"

namespace tributary {

class JobContext;

// Finds this process's place (cluster.resolver), connects it to the others of the
// launch, calls `body` and takes leave. What `body` throws is told to the others
// and thrown on.
int RunConnected(const JobConfig& job, const std::function<int(JobContext&)>& body);

}  // namespace tributary

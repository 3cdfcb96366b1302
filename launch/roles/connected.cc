#include "launch/roles/connected.h"

#include "distribute/job/job_context.h"

namespace tributary {
namespace {

// The environment's word (tests, operators) comes before the default only.
JobOptions MakeJobOptions(const JobConfig& job) {
  JobOptions options = JobOptions::FromEnvironment();
  if (job.cluster().Origin("timeout") != "default") {
    options.liveness.dead_after = Millis(static_cast<int>(job.cluster().Float("timeout") * 1000));
    options.liveness.suspect_after = options.liveness.dead_after * 2 / 5;
  }
  return options;
}

}  // namespace

int RunConnected(const JobConfig& job, const std::function<int(JobContext&)>& body) {
  const Cluster cluster = ResolveCluster(job.cluster().String("resolver"));
  const std::unique_ptr<JobContext> context = JobContext::Connect(cluster, MakeJobOptions(job));
  try {
    const int code = body(*context);
    context->Finish();
    return code;
  } catch (const std::exception& e) {
    context->ReportFailure(e.what());
    throw;
  }
}

}  // namespace tributary

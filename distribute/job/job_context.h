#pragma once
// This process's place in a running job: who it is, how it talks to the others,
// and who watches over them. Made once at start by launch, handed to strategies.
//
//   auto job = JobContext::Connect(ResolveCluster());
//   try { train(*job); job->Finish(); }
//   catch (const std::exception& e) { job->ReportFailure(e.what()); return code; }

#include <memory>
#include <string>

#include "distribute/cluster/cluster.h"
#include "distribute/comm/host_layout.h"
#include "distribute/liveness/liveness_monitor.h"

namespace tributary {

struct JobOptions {
  // The longest that one rank waits for another in one call, at least
  // liveness.dead_after. A rank that hangs in a step is found out long before.
  Millis timeout{300'000};
  LivenessOptions liveness;
  // The longest that ranks which nobody has launched together wait for each other.
  Millis start_timeout{60'000};
  std::string key_file;  // the job's key, for ranks on other hosts (TF_CONFIG)
  // Pretends several hosts; TRIBUTARY_FAKE_HOSTS, for tests.
  int fake_hosts = 0;

  // Defaults, with TRIBUTARY_FAKE_HOSTS, TRIBUTARY_COMM_TIMEOUT_MS,
  // TRIBUTARY_START_TIMEOUT_MS, TRIBUTARY_DEAD_AFTER_MS and TRIBUTARY_KEY_FILE read.
  // Throws InvalidArgumentError naming the variable.
  static JobOptions FromEnvironment(const Environment& environment = ProcessEnvironment());
};

class JobContext {
 public:
  // Connects the ranks of the cluster (a process that is alone gets a group of one
  // and no monitor). Sets the prefix of log lines. Collective over the job. Throws
  // UnimplementedError when there are several workers and nothing that connects them
  // (Slurm without PMIx), and what the communicator throws (tcp: gather.h).
  static std::unique_ptr<JobContext> Connect(
      const Cluster& cluster, const JobOptions& options = JobOptions::FromEnvironment());
  // For tests whose ranks are threads: no monitor.
  static std::unique_ptr<JobContext> ForRank(std::shared_ptr<Communicator> world,
                                             int fake_hosts = 0);
  // The one that Connect made last and that is still alive: what strategies that are
  // built from a job's `strategy` block belong to. Throws FailedPreconditionError.
  static JobContext& Current();
  // Reports a failure unless Finish or ReportFailure was called.
  ~JobContext();

  const Cluster& cluster() const { return cluster_; }
  const JobOptions& options() const { return options_; }
  Communicator& world() const { return *world_; }
  const HostLayout& hosts() const { return hosts_; }
  JobHealth& health() const { return *world_->health(); }

  // The job is done: collective, waits for every rank, ends MPI.
  void Finish();
  // This rank fails; the others end with an error that gives the reason.
  void ReportFailure(const std::string& reason);
  // All ranks have agreed to end with an error: ReportFailure then only takes leave.
  void AgreeToFail() { agreed_to_fail_ = true; }

 private:
  JobContext() = default;
  Cluster cluster_;
  JobOptions options_;
  std::shared_ptr<Communicator> world_;
  HostLayout hosts_;
  std::unique_ptr<LivenessMonitor> monitor_;
  bool ended_ = false, agreed_to_fail_ = false;
};

}  // namespace tributary

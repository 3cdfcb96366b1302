#include "distribute/job/job_context.h"

#include "core/base/logging.h"
#include "distribute/comm/mpi/mpi_runtime.h"

namespace tributary {
namespace {

// Even where calls are given less: the chief may still be writing its last
// checkpoint.
constexpr Millis kLeaveTimeout{60'000};

std::atomic<JobContext*> current{nullptr};

// By rank: chief, then workers.
RankPlaces PlacesOf(const Cluster& cluster, const JobOptions& options) {
  RankPlaces places{.rank = cluster.rank, .addresses = {}, .key_file = options.key_file,
                    .timeout = options.start_timeout};
  for (const Task& task : cluster.spec.Tasks()) {
    if (RoleOf(task) == Role::kTrainer) places.addresses.push_back(cluster.spec.Address(task));
  }
  return places;
}

}  // namespace

JobOptions JobOptions::FromEnvironment(const Environment& environment) {
  JobOptions options;
  if (environment("TRIBUTARY_FAKE_HOSTS")) {
    options.fake_hosts = IntVariable(environment, "TRIBUTARY_FAKE_HOSTS", 0, 4096);
  }
  if (environment("TRIBUTARY_COMM_TIMEOUT_MS")) {
    options.timeout = Millis(IntVariable(environment, "TRIBUTARY_COMM_TIMEOUT_MS", 1, 1 << 30));
  }
  if (environment("TRIBUTARY_START_TIMEOUT_MS")) {
    options.start_timeout =
        Millis(IntVariable(environment, "TRIBUTARY_START_TIMEOUT_MS", 1, 1 << 30));
  }
  if (const auto key_file = environment("TRIBUTARY_KEY_FILE")) options.key_file = *key_file;
  if (environment("TRIBUTARY_DEAD_AFTER_MS")) {
    options.liveness.dead_after =
        Millis(IntVariable(environment, "TRIBUTARY_DEAD_AFTER_MS", 500, 1 << 30));
    options.liveness.suspect_after = options.liveness.dead_after * 2 / 5;
  }
  return options;
}

std::unique_ptr<JobContext> JobContext::Connect(const Cluster& cluster,
                                                const JobOptions& options) {
  std::unique_ptr<JobContext> job(new JobContext);
  job->cluster_ = cluster;
  job->options_ = options;
  job->options_.timeout = std::max(options.timeout, options.liveness.dead_after);
  SetLogPrefix(cluster.LogPrefix());
  SetLogOrigin("task", cluster.task.ToString());
  SetLogOrigin("host", cluster.host);
  if (cluster.world_size > 1 && cluster.communicator.empty()) {
    throw UnimplementedError(
        "[job] {} workers from {}, but nothing connects them; start them with mpirun (or "
        "srun --mpi=pmix), or give each its TF_CONFIG",
        cluster.world_size, cluster.resolver);
  }
  const bool alone = cluster.world_size == 1;
  CommunicatorOptions connect{.timeout = job->options_.timeout, .health = nullptr, .places = {}};
  if (cluster.communicator == "tcp") connect.places = PlacesOf(cluster, options);
  job->world_ = CommunicatorRegistry()
                    .Get(alone ? "local" : cluster.communicator)
                    .connect(connect);
  if (job->world_->size() != cluster.world_size || job->world_->rank() != cluster.rank) {
    job->ended_ = true;
    throw FailedPreconditionError(
        "[job] the {} communicator says rank {} of {}, {} says rank {} of {}; is the program "
        "linked with the MPI that its launcher belongs to?",
        cluster.communicator, job->world_->rank(), job->world_->size(), cluster.resolver,
        cluster.rank, cluster.world_size);
  }
  job->hosts_ = FindHosts(*job->world_, options.fake_hosts);
  if (!alone) {
    job->monitor_ =
        std::make_unique<LivenessMonitor>(*job->world_, job->hosts_, options.liveness);
  }
  current = job.get();
  return job;
}

JobContext& JobContext::Current() {
  JobContext* job = current;
  if (job == nullptr) {
    throw FailedPreconditionError("[job] no job is connected; call JobContext::Connect first");
  }
  return *job;
}

std::unique_ptr<JobContext> JobContext::ForRank(std::shared_ptr<Communicator> world,
                                                int fake_hosts) {
  std::unique_ptr<JobContext> job(new JobContext);
  job->world_ = std::move(world);
  job->cluster_.world_size = job->world_->size();
  job->cluster_.rank = job->world_->rank();
  job->cluster_.task = {kWorker, job->cluster_.rank};
  job->cluster_.is_chief = job->cluster_.rank == 0;
  job->cluster_.host = HostName();
  job->options_.fake_hosts = fake_hosts;
  job->hosts_ = FindHosts(*job->world_, fake_hosts);
  return job;
}

JobContext::~JobContext() {
  JobContext* self = this;
  current.compare_exchange_strong(self, nullptr);
  if (!ended_) ReportFailure("it ended without finishing");
}

void JobContext::Finish() {
  if (ended_) return;
  world_->Barrier({.timeout = std::max(options_.timeout, kLeaveTimeout)});
  ended_ = true;
  if (monitor_ == nullptr) return;
  monitor_->Finish();
  monitor_.reset();
  MpiRuntime::Finalize();
}

void JobContext::ReportFailure(const std::string& reason) {
  if (ended_) return;
  if (agreed_to_fail_) {
    try {
      return Finish();
    } catch (const std::exception& e) {
      LogWarning("[job] {}", e.what());  // another was lost meanwhile
    }
  }
  ended_ = true;
  if (monitor_ != nullptr) {
    monitor_->ReportFailure(reason);
  } else if (world_ != nullptr && world_->size() > 1) {
    world_->Abort(reason);
  }
}

}  // namespace tributary

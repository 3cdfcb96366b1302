#include "launch/roles/parameter_servers.h"

#include <sys/prctl.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "core/base/logging.h"
#include "core/base/strings.h"
#include "core/io/env.h"
#include "distribute/job/job_context.h"
#include "distribute/transport/mpi/mpi_transport.h"
#include "launch/cli/exit_codes.h"
#include "launch/config/launch_rank.h"
#include "launch/roles/connected.h"
#include "launch/roles/core_sharing.h"
#include "launch/roles/job_run.h"
#include "launch/roles/ps_roles.h"
#include "launch/roles/run_dir.h"
#include "launch/roles/supervise.h"
#include "trainer/strategy/strategy.h"

namespace tributary {
namespace {

constexpr char kChiefFile[] = "cluster/chief", kEndedFile[] = "cluster/ended";

// What tells one mpirun from another: a chief's address is believed within one only.
std::string LaunchName() {
  for (const char* name : {"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "SLURM_JOB_ID"}) {
    if (const char* value = std::getenv(name)) return value;
  }
  return "-";
}

PsPlace PlaceUnderMpirun(const PsConfig& config, Cluster cluster) {
  PsPlace place{config, std::move(cluster), {}, 1, "", 0};
  const int size = place.cluster.world_size, rank = place.cluster.rank;
  place.workers = size - 1 - config.servers;
  if (place.workers < 1) {
    throw InvalidArgumentError(
        "[job] {} processes are too few for a chief, a worker and {} server{}; take mpirun -n {} "
        "or more, one process without mpirun, or another strategy.ParameterServer.servers",
        size, config.servers, config.servers == 1 ? "" : "s", config.servers + 2);
  }
  place.first_server = size - config.servers;
  place.carrier = config.carrier == "auto" ? "tcp" : config.carrier;
  if (rank == 0) {
    place.task = {kChief, 0};
  } else if (rank < place.first_server) {
    place.task = {kWorker, rank - 1};
  } else {
    place.task = {kPs, rank - place.first_server};
  }
  return place;
}

PsPlace PlaceByTfConfig(const PsConfig& config, Cluster cluster) {
  PsPlace place{config, std::move(cluster), {}, 1, "tcp", 0};
  const ClusterSpec& spec = place.cluster.spec;
  place.task = place.cluster.task;
  place.workers = spec.NumTasks(kWorker);
  if (!spec.HasJob(kChief) || place.workers < 1 || !spec.HasJob(kPs)) {
    throw InvalidArgumentError("[job] TF_CONFIG names no {}; a parameter-server job has a chief, "
                               "workers and ps",
                               !spec.HasJob(kChief) ? "chief" : place.workers < 1 ? "worker" : "ps");
  }
  if (config.carrier == "inproc" || config.carrier == "mpi") {
    throw InvalidArgumentError("[job] TF_CONFIG goes with carrier tcp, not {}", config.carrier);
  }
  place.config.servers = spec.NumTasks(kPs);
  return place;
}

// --- One process each, by TCP --------------------------------------------------------------

class TcpJob {
 public:
  TcpJob(const JobConfig& job, const TrainOptions& options, const PsPlace& place)
      : job_(job), options_(options), place_(place),
        role_{.job = job, .place = place, .transport = Transport(), .run_dir = job.run_dir,
              .find_chief = [this] { return FindChief(); }} {}

  int Run() {
    // mpirun can be killed; who nobody waits for any more stops, and saves.
    if (!HasAddresses()) prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (place_.task.type == kChief) return RunChief();
    const std::string who = place_.task.ToString();
    const auto life = [this](int number) {
      role_.life = number;
      return RunMember();
    };
    return RunSupervised(who.c_str(), place_.config.restarts, life, [this] { return HasEnded(); });
  }

 private:
  TransportOptions Transport() const {
    TransportOptions t;
    t.security = place_.config.security;
    t.security.job_id = job_.name;
    t.dead_after = JobOptions::FromEnvironment().liveness.dead_after;
    if (job_.cluster().Origin("timeout") != "default") {
      t.dead_after = Millis(static_cast<int>(job_.cluster().Float("timeout") * 1000));
    }
    return t;
  }

  bool HasAddresses() const { return place_.cluster.spec.HasJob(kPs); }
  std::string Own() const {
    if (HasAddresses()) return "tcp://" + place_.cluster.spec.Address(place_.task);
    std::string host = place_.config.listen;
    if (host.empty()) host = "127.0.0.1";
    if (host == "hostname") host = place_.cluster.host;
    return fmt::format("tcp://{}:0", host);
  }

  std::string FindChief() const {
    if (HasAddresses()) return "tcp://" + place_.cluster.spec.Address({kChief, 0});
    Env* env = PosixEnv();
    const std::string file = job_.run_dir + "/" + kChiefFile;
    if (!env->Exists(file)) {
      throw UnavailableError("[job] the chief has not written {} yet", file);
    }
    const std::vector<std::string> lines = Split(ReadFile(env, file), '\n');
    if (lines.size() < 2 || lines[1] != LaunchName()) {
      throw UnavailableError("[job] {} is another launch's; the chief of this one has not come yet",
                             file);
    }
    return lines[0];
  }

  // The chief has said so: to supervisors, which are connected to nobody.
  void NoteEnd() const {
    try {
      NoteInCluster(job_.run_dir, "ended", LaunchName());
    } catch (const std::exception& e) {
      LogWarning("[job] {}", e.what());
    }
  }
  bool HasEnded() const {
    Env* env = PosixEnv();
    const std::string file = job_.run_dir + "/" + kEndedFile;
    return env->Exists(file) && ReadFile(env, file) == LaunchName();
  }

  int RunChief() {
    Cluster alone;
    alone.task = place_.task;
    alone.host = place_.cluster.host;
    const auto context = JobContext::Connect(alone);
    TrainOptions options = options_;
    options.processes = 1 + place_.workers + place_.config.servers;
    options.processes_here = place_.cluster.local_size;
    std::shared_ptr<coordinator::Coordinator> coordinator;
    try {
      const int code = TrainInJob(job_, options, *context, [&] {
        if (coordinator) return MakeChiefStrategy(role_, coordinator);  // another attempt
        Env* env = PosixEnv();
        const std::string ended = job_.run_dir + "/" + kEndedFile;
        if (env->Exists(ended)) env->Remove(ended);
        coordinator = MakeCoordinator(role_, Own());
        if (!HasAddresses()) {
          NoteInCluster(job_.run_dir, "chief", coordinator->address() + "\n" + LaunchName() + "\n");
        }
        return MakeChiefStrategy(role_, coordinator);
      });
      coordinator->End("");
      NoteEnd();
      context->Finish();
      return code;
    } catch (const std::exception& e) {
      if (coordinator) {
        coordinator->End(e.what());
        NoteEnd();
      }
      throw;
    }
  }

  int RunMember() {
    SetLogPrefix(fmt::format("{} {}@{}", place_.task.type, place_.task.index, place_.cluster.host));
    SetLogOrigin("task", place_.task.ToString());
    const CoreSharing sharing;
    try {
      if (place_.task.type == kPs) return RunPsServer(role_, place_.task.index, Own());
      SetComputeThreads(job_, place_.cluster.local_size);
      return RunPsWorker(role_, place_.task.index);
    } catch (const std::exception& e) {
      LogError("[job] {}: {}", place_.task.ToString(), e.what());
      return ExitCodeOf(e);
    }
  }

  const JobConfig& job_;
  const TrainOptions& options_;
  const PsPlace& place_;
  PsRole role_;
};

// --- One process each, by MPI ----------------------------------------------------------------

int RunByMpi(const JobConfig& job, const TrainOptions& options, const PsPlace& place) {
  return RunConnected(job, [&](JobContext& context) {
    // While all are still here: one of them tells it for all.
    RunOnChief(context, [&] {
      const RunDir dir(job);
      dir.CheckWritable();
      dir.WouldMoveAside(job, options.fresh);
      return "";
    });
    InitMpiTransport();
    PsRole role{.job = job, .place = place, .run_dir = job.run_dir,
                .find_chief = [] { return std::string("mpi://0"); }};
    SetLogPrefix(fmt::format("{} {}@{}", place.task.type, place.task.index, context.cluster().host));
    std::shared_ptr<coordinator::Coordinator> coordinator;
    if (place.task.type == kChief) {
      coordinator = MakeCoordinator(role, "mpi://0");
    } else {
      context.world().Barrier();  // the run's folder is there, and the chief listens
    }
    int code = kExitOk;
    if (coordinator) {
      Cluster alone;
      alone.task = place.task;
      alone.host = context.cluster().host;
      const auto own = JobContext::Connect(alone);
      TrainOptions own_options = options;
      own_options.processes = context.cluster().world_size;
      own_options.processes_here = context.cluster().local_size;
      code = TrainInJob(job, own_options, *own, [&, first = true]() mutable {
        if (std::exchange(first, false)) context.world().Barrier();
        return MakeChiefStrategy(role, coordinator);
      });
      own->Finish();
      coordinator->End("");
    } else if (place.task.type == kPs) {
      const CoreSharing sharing;
      code = RunPsServer(role, place.task.index, fmt::format("mpi://{}", context.cluster().rank));
    } else {
      const CoreSharing sharing;
      SetComputeThreads(job, context.cluster().local_size);
      code = RunPsWorker(role, place.task.index);
    }
    return code;
  });
}

// --- Threads of one process ------------------------------------------------------------------

int RunInProcess(const JobConfig& job, const TrainOptions& options, const PsPlace& place) {
  return RunConnected(job, [&](JobContext& context) {
    static std::atomic<int> jobs{0};
    const std::string name = fmt::format("inproc://{}-{}", job.name, ++jobs);
    std::atomic<bool> listening{false};
    PsRole role{.job = job, .place = place, .run_dir = job.run_dir,
                .find_chief = [&] {
                  if (!listening) throw UnavailableError("[job] the chief does not listen yet");
                  return name + "-chief";
                }};
    std::shared_ptr<coordinator::Coordinator> coordinator;
    std::vector<std::jthread> threads;  // joined before what they use goes
    const auto start = [&](const std::string& who, std::function<void()> body) {
      threads.emplace_back([who, body] {
        try {
          body();
        } catch (const std::exception& e) {
          LogError("[job] {}: {}", who, e.what());
        }
      });
    };
    TrainOptions own = options;
    own.processes = 1 + place.workers + place.config.servers;
    own.processes_here = place.workers;
    try {
      const int code = TrainInJob(job, own, context, [&] {
        if (coordinator) return MakeChiefStrategy(role, coordinator);  // another attempt
        coordinator = MakeCoordinator(role, name + "-chief");
        listening = true;
        for (int s = 0; s < place.config.servers; ++s) {
          start(fmt::format("/job:ps/task:{}", s),
                [&, s] { RunPsServer(role, s, fmt::format("{}-ps-{}", name, s)); });
        }
        for (int w = 0; w < place.workers; ++w) {
          start(fmt::format("/job:worker/task:{}", w), [&, w] { RunPsWorker(role, w); });
        }
        return MakeChiefStrategy(role, coordinator);
      });
      coordinator->End("");
      return code;
    } catch (const std::exception& e) {
      if (coordinator) coordinator->End(e.what());
      throw;
    }
  });
}

}  // namespace

std::optional<PsPlace> FindPsPlace(const JobConfig& job) {
  if (!job.options.IsObject("strategy")) return std::nullopt;
  const Options& strategy = job.options.Child("strategy");
  if (strategy.name() != ParameterServerTable().name) return std::nullopt;
  const PsConfig config = PsConfig::From(strategy);
  Cluster cluster = ResolveCluster(job.cluster().String("resolver"));
  if (cluster.spec.HasJob(kPs)) return PlaceByTfConfig(config, std::move(cluster));
  if (cluster.world_size > 1) {
    if (config.carrier == "inproc") {
      throw InvalidArgumentError("[job] carrier inproc is for one process, and this launch has {}; "
                                 "take tcp or mpi", cluster.world_size);
    }
    return PlaceUnderMpirun(config, std::move(cluster));
  }
  if (config.carrier == "tcp" || config.carrier == "mpi") {
    throw InvalidArgumentError("[job] carrier {} is for several processes; launch them with "
                               "`mpirun -n {}`, or take inproc", config.carrier,
                               1 + config.workers + config.servers);
  }
  if (config.workers == 1) return std::nullopt;
  return PsPlace{config, std::move(cluster), {kChief, 0}, config.workers, "inproc", 0};
}

int TrainWithParameterServers(const JobConfig& job, const TrainOptions& options,
                              const PsPlace& place) {
  if (place.carrier == "inproc") return RunInProcess(job, options, place);
  if (place.carrier == "mpi") return RunByMpi(job, options, place);
  return TcpJob(job, options, place).Run();
}

}  // namespace tributary

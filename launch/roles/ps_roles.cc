#include "launch/roles/ps_roles.h"

#include <unistd.h>

#include <random>

#include "core/base/logging.h"
#include "core/base/strings.h"
#include "core/io/env.h"
#include "distribute/coordinator/coordinator_client.h"
#include "distribute/metrics/metrics_server.h"
#include "distribute/strategies/parameter_server/strategy.h"
#include "launch/cli/exit_codes.h"
#include "launch/roles/job_run.h"
#include "launch/roles/stop_signals.h"
#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

// Whoever waits for the chief to appear, or to come back.
constexpr Millis kPatience{60'000};
constexpr Millis kChiefIsLost{10'000};

uint64_t RandomLife() {
  std::random_device random;
  return (uint64_t{random()} << 32 | random()) | 1;
}

Hello HelloOf(const PsRole& role, const std::string& name, uint32_t task) {
  return {.role = name, .task = task, .generation = RandomLife(),
          .config_hash = role.job.Hash()};
}

ChannelOptions ChannelFor(const PsRole& role) {
  ChannelOptions options;
  static_cast<TransportOptions&>(options) = role.transport;
  return options;
}

ServerOptions ListenerFor(const PsRole& role, Hello hello) {
  ServerOptions options;
  static_cast<TransportOptions&>(options) = role.transport;
  options.hello = std::move(hello);
  return options;
}

std::shared_ptr<coordinator::CoordinatorClient> ConnectToChief(const PsRole& role, Hello hello) {
  return std::make_shared<coordinator::CoordinatorClient>(coordinator::CoordinatorClientOptions{
      .hello = std::move(hello), .find = role.find_chief, .channel = ChannelFor(role),
      .patience = kPatience});
}

}  // namespace

void NoteInCluster(const std::string& run_dir, const std::string& name, const std::string& text) {
  Env* env = PosixEnv();
  env->CreateDirs(run_dir + "/cluster");
  WriteFileAtomically(env, run_dir + "/cluster/" + name, text);
}

// --- Chief -----------------------------------------------------------------------------------

std::shared_ptr<coordinator::Coordinator> MakeCoordinator(const PsRole& role,
                                                          const std::string& address) {
  const PsConfig& config = role.place.config;
  coordinator::CoordinatorOptions options;
  options.address = address;
  options.hello = HelloOf(role, "chief", 0);
  options.server = ListenerFor(role, options.hello);
  options.job = role.job.name;
  options.servers = config.servers;
  options.workers = role.place.workers;
  options.mode = config.consistency.mode == ps::Consistency::kSync ? coordinator::Mode::kShared
                                                                   : coordinator::Mode::kSplit;
  options.lease_steps = config.lease;
  options.grace = role.transport.dead_after;
  return std::make_shared<coordinator::Coordinator>(options);
}

std::shared_ptr<Strategy> MakeChiefStrategy(const PsRole& role,
                                            std::shared_ptr<coordinator::Coordinator> coordinator) {
  coordinator->WaitForServers(kPatience);
  NoteInCluster(role.run_dir, "servers", Join(coordinator->servers(), "\n") + "\n");
  const PsConfig& config = role.place.config;
  ConnectServers connect = [&role, coordinator, config](uint64_t) {
    Hello hello = HelloOf(role, "chief", kChiefTask);
    return std::make_unique<ps::PsClient>(ps::PsClientOptions{
        .hello = hello, .servers = config.servers,
        .find = [coordinator](int s) { return coordinator->FindServer(s); },
        .channel = ChannelFor(role)});
  };
  return std::make_shared<PsChief>(config, role.place.workers, coordinator, connect);
}

// --- Worker ----------------------------------------------------------------------------------

int RunPsWorker(const PsRole& role, int index) {
  const Hello hello = HelloOf(role, "worker", static_cast<uint32_t>(index));
  const auto chief = ConnectToChief(role, hello);
  NoteInCluster(role.run_dir, fmt::format("worker-{}", index), fmt::format("{}\n", getpid()));
  const PsConfig& config = role.place.config;
  const ConnectServers connect = [&role, chief, config, hello](uint64_t generation) {
    Hello own = hello;
    own.generation = generation;
    return std::make_unique<ps::PsClient>(ps::PsClientOptions{
        .hello = own, .servers = config.servers,
        .find = [chief](int s) { return chief->FindServer(s); }, .channel = ChannelFor(role),
        .key_lists = config.key_lists});
  };
  const auto strategy =
      std::make_shared<PsWorker>(config, index, role.place.workers, chief, connect);
  JobRun run(role.job, strategy, JobData::kTrainOnly);
  run.Prepare();
  std::optional<StopSignals> signals;
  if (role.place.carrier != "inproc") signals.emplace(run.trainer.get());
  run.trainer->Work(*run.train, MakeFitOptions(role.job, run));
  return kExitOk;
}

// --- Server ----------------------------------------------------------------------------------

int RunPsServer(const PsRole& role, int shard, const std::string& address) {
  const PsConfig& config = role.place.config;
  const Hello hello = HelloOf(role, "ps", static_cast<uint32_t>(shard));
  const auto chief = ConnectToChief(role, hello);
  const std::string dir = role.run_dir + "/ps";
  ps::PsServer server(config.Server(shard, role.place.workers, dir));
  // A server that comes back in the same launch goes on; one of a new launch begins empty,
  // and the chief restores.
  const std::string launch = chief->Status().launch_id;
  const std::string name = fmt::format("ps-{}", shard);
  const std::string note = fmt::format("{}/cluster/{}.launch", role.run_dir, name);
  Env* env = PosixEnv();
  if (env->Exists(note) && ReadFile(env, note) == launch) {
    const uint64_t frames = server.Recover();
    LogInfo("[ps] server {} is back: {} frames replayed", shard, frames);
  } else {
    server.Begin();
    NoteInCluster(role.run_dir, name + ".launch", launch);
  }
  std::unique_ptr<MetricsServer> page;
  if (config.metrics_port) {
    const int port = *config.metrics_port == 0 ? 0 : *config.metrics_port + shard;
    page = std::make_unique<MetricsServer>(
        MetricsOptions{.port = static_cast<uint16_t>(port)},
        [&server] { return ps::PrometheusText(server.stats()); });
    NoteInCluster(role.run_dir, name + ".metrics", page->address() + "\n");
    LogInfo("[ps] server {} shows its figures at {}", shard, page->address());
  }
  const auto listening = Listen(address, server.handler(), ListenerFor(role, hello));
  chief->RegisterServer(shard, listening->address());
  NoteInCluster(role.run_dir, name, fmt::format("{}\n{}\n", getpid(), listening->address()));
  const std::string error = chief->AwaitEnd();
  listening->Stop();
  if (error.empty()) return kExitOk;
  LogError("[ps] server {}: the job has ended: {}", shard, error);
  return kExitPeersLost;
}

}  // namespace tributary

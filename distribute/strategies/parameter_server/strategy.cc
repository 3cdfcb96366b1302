#include "distribute/strategies/parameter_server/strategy.h"

#include <atomic>

#include "core/base/logging.h"
#include "core/base/strings.h"

namespace tributary {
namespace {

constexpr int kRecoveries = 20;  // of a worker, one after another with nothing done between

}  // namespace

// --- All of them -----------------------------------------------------------------------------

PsStrategy::PsStrategy(const PsConfig& config, int workers, bool chief)
    : config_(config), workers_(workers), parameters_(config.Parameters(workers, chief)) {
  const char* mode = config.consistency.mode == ps::Consistency::kSync      ? "sync"
                     : config.consistency.mode == ps::Consistency::kBounded ? "bounded"
                                                                            : "async";
  description_ = fmt::format("parameter_server: {} worker{}, {} server{}, {}", workers,
                             workers == 1 ? "" : "s", config.servers,
                             config.servers == 1 ? "" : "s", mode);
  if (config.consistency.mode == ps::Consistency::kBounded) {
    description_ += fmt::format(" (staleness {})", config.consistency.staleness);
  }
}

// --- Alone -----------------------------------------------------------------------------------

PsAlone::PsAlone(const PsConfig& config) : PsStrategy(config, 1, true) {
  static std::atomic<int> jobs{0};
  const int job = ++jobs;
  for (int s = 0; s < config.servers; ++s) {
    servers_.push_back(std::make_unique<ps::PsServer>(config.Server(s, 1, "")));
    ServerOptions options;
    options.hello = {.role = "ps", .task = static_cast<uint32_t>(s)};
    listening_.push_back(Listen(fmt::format("inproc://ps-{}-{}", job, s),
                                servers_.back()->handler(), options));
  }
}

PsAlone::~PsAlone() {
  for (auto& server : listening_) server->Stop();
}

void PsAlone::SyncInitialState(const std::vector<Tensor>&) {
  if (std::exchange(connected_, true)) return;
  parameters_.Connect(std::make_unique<ps::PsClient>(ps::PsClientOptions{
      .hello = {.role = "worker", .task = 0, .generation = 1},
      .servers = config_.servers,
      .find = [this](int s) { return listening_[static_cast<size_t>(s)]->address(); },
      .key_lists = config_.key_lists}));
  parameters_.session().Join();
}

// --- Chief -----------------------------------------------------------------------------------

PsChief::PsChief(const PsConfig& config, int workers,
                 std::shared_ptr<coordinator::Coordinator> coordinator, ConnectServers connect)
    : PsStrategy(config, workers, true), coordinator_(std::move(coordinator)),
      connect_(std::move(connect)) {
  coordinator_->SetEvict([this](uint32_t worker, uint64_t generation) {
    return Evict(worker, generation);
  });
  parameters_.CheckServers([this] { CheckServers(); });
}

void PsChief::CheckServers() {
  const std::vector<int> restarted = coordinator_->TakeRestarted();
  if (restarted.empty() || config_.durability != ps::Durability::kCheckpoint) return;
  if (!config_.roll_back_together) {
    LogWarning("[parameter_server] server {} went back to its last checkpoint alone "
               "(on_server_loss: partial): its updates since then are lost",
               fmt::join(restarted, ", "));
    return;
  }
  coordinator_->Abandon();
  throw AbortedError("[parameter_server] server {} has lost its updates since the last checkpoint",
                     fmt::join(restarted, ", "));
}

void PsChief::SyncInitialState(const std::vector<Tensor>&) {
  if (std::exchange(connected_, true)) return;
  parameters_.Connect(connect_(0));
}

std::vector<int64_t> PsChief::Evict(uint32_t worker, uint64_t generation) {
  std::vector<int64_t> clocks;
  ps::PsClient& client = parameters_.session().client();
  for (int s = 0; s < config_.servers; ++s) {
    try {
      const std::string packed =
          client.Call(s, ps::kEvict, ps::EvictControl{worker, generation});
      clocks.push_back(ps::Unpack<ps::WorkerReply>(ps::AsBytes(packed), "an eviction").clock);
    } catch (const NotFoundError&) {
      clocks.push_back(0);  // it had not come so far
    }
  }
  return clocks;
}

void PsChief::Open(const StepRange& window) {
  if (!std::exchange(ready_, true)) coordinator_->SetReady();
  coordinator_->Open({window.epoch, window.begin, window.end, window.first_step,
                      window.learning_rate});
}

StepServer::Progress PsChief::Await(int64_t milliseconds) {
  CheckServers();
  const auto progress = coordinator_->Await(Millis(milliseconds));
  return {progress.done, progress.complete};
}

// --- Worker ----------------------------------------------------------------------------------

PsWorker::PsWorker(const PsConfig& config, int index, int workers,
                   std::shared_ptr<coordinator::CoordinatorClient> chief, ConnectServers connect)
    : PsStrategy(config, workers, false), index_(index), chief_(std::move(chief)),
      connect_(std::move(connect)) {}

InputShard PsWorker::input_shard() const {
  if (config_.consistency.mode == ps::Consistency::kSync) return {index_, workers_};
  return {};
}

uint32_t PsWorker::EndStep(uint32_t requests) {
  if (requests != 0) chief_->Raise(requests);
  return 0;
}

void PsWorker::Register() {
  const uint64_t generation = chief_->RegisterWorker().generation;
  ps::PsSession& session = parameters_.session();
  if (session.attached()) {
    session.client().SetGeneration(generation);
  } else {
    parameters_.Connect(connect_(generation));
  }
  session.Join();
  session.Park(true);
  registered_ = true;
}

std::optional<StepRange> PsWorker::Take() {
  for (;;) {
    try {
      return TakeOnce();
    } catch (const std::exception& error) {  // it may be taken for dead while it waits, too
      if (!Recover(error)) throw;
    }
  }
}

std::optional<StepRange> PsWorker::TakeOnce() {
  if (!registered_) Register();
  ps::PsSession& session = parameters_.session();
  const std::optional<coordinator::Lease> lease = chief_->Take(session.step());
  if (!lease) return std::nullopt;
  session.Park(false);
  lease_ = lease->id;
  session.SetDone(lease->done);
  // Others have pushed, or the chief has restored, while this worker waited.
  session.Invalidate();
  return StepRange{lease->epoch, lease->begin, lease->end, lease->first_step,
                   lease->learning_rate};
}

void PsWorker::Done(std::span<const double> figures) {
  parameters_.session().Drain();
  // While it waits for more, which the others may have to do first, nobody waits for it.
  parameters_.session().Park(true);
  chief_->Done(lease_, figures);
  recoveries_ = 0;
}

bool PsWorker::Recover(const std::exception& error) {
  // Fenced; or a server is empty, since all go back to an earlier state.
  const bool passes = dynamic_cast<const FailedPreconditionError*>(&error) ||
                      dynamic_cast<const NotFoundError*>(&error);
  if (!passes) return false;
  if (++recoveries_ > kRecoveries) return false;  // that is no eviction, and will not pass
  LogWarning("[parameter_server] worker {} begins anew: {}", index_, error.what());
  parameters_.session().Abandon();
  registered_ = false;
  return true;
}

namespace {

REGISTER_STRATEGY(ParameterServerTable(), [](const Options& options) -> std::shared_ptr<Strategy> {
  return std::make_shared<PsAlone>(PsConfig::From(options));
});

}  // namespace
}  // namespace tributary

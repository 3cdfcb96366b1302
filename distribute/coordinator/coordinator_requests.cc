// The transport's side of the coordinator: requests, and peers that come and go.

#include <algorithm>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "distribute/coordinator/coordinator.h"

namespace tributary::coordinator {
namespace {

template <typename T>
void Send(Responder& responder, const T& reply) {
  const std::string packed = Pack(reply);
  responder.Reply(AsBytes(packed));
}

FailedPreconditionError Fenced(uint32_t worker, uint64_t generation, const std::string& why) {
  return FailedPreconditionError(
      "[coordinator] worker {} of generation {} is fenced: {}; register again", worker, generation,
      why);
}

}  // namespace

void Coordinator::Handle(const Request& request, Responder responder) {
  const std::lock_guard lock(mutex_);
  try {
    if (stopping_) {
      throw UnavailableError("[coordinator] the chief of job '{}' is going", options_.job);
    }
    switch (request.header.kind) {
      case kRegisterServer: return RegisterServer(request, responder);
      case kFindServers: return Send(responder, ServersReply{Status().servers});
      case kRegisterWorker: return RegisterWorker(request, responder);
      case kTake: return HandleTake(request, responder);
      case kDone: return HandleDone(request, responder);
      case kRaise: {
        const auto raise = Unpack<RaiseControl>(request.control, "a request to the chief");
        Current(request);
        request_is_new_ |= (raise.bits & ~requests_) != 0;
        requests_ |= raise.bits;
        changed_.notify_all();
        return responder.Reply();
      }
      case kAwaitEnd:
        if (ended_) return Send(responder, EndReply{end_error_});
        awaiting_end_.push_back(std::move(responder));
        return;
      case kStatus: return Send(responder, Status());
      default:
        throw UnimplementedError("[coordinator] a request of kind {}", request.header.kind);
    }
  } catch (const std::exception& error) {
    if (!responder.pending()) throw;
    responder.Fail(error);
  }
}

// --- Peers -------------------------------------------------------------------------------

void Coordinator::OnPeer(const Hello& hello, PeerEvent event, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  const bool comes = event == PeerEvent::kJoined;
  peers_ += comes ? 1 : -1;
  changed_.notify_all();
  if (hello.role != kWorkerRole) {
    if (event != PeerEvent::kJoined && event != PeerEvent::kLeft && !ended_) {
      LogWarning("[coordinator] the connection of {} is lost: {}", hello.Name(), reason);
    }
    return;
  }
  const std::pair key{hello.task, hello.generation};
  if (comes) {
    ++connections_[key];
  } else {
    if (--connections_[key] > 0) return;
    connections_.erase(key);
  }
  const auto it = workers_.find(hello.task);
  if (it == workers_.end()) return;
  Worker& worker = it->second;
  if (comes) {
    if (worker.state == Worker::State::kLost && worker.life == hello.generation &&
        options_.mode == Mode::kShared) {
      worker.state = Worker::State::kActive;
      LogInfo("[coordinator] {} is back", hello.Name());
    }
    return;
  }
  // An answer that nobody hears would make a worker that nobody is.
  if (worker.registration.pending() && worker.coming_life == hello.generation) {
    worker.registration.Fail(UnavailableError("[coordinator] the connection is gone"));
  }
  if (worker.life == hello.generation) {
    Lose(hello.task, &worker, event == PeerEvent::kLeft ? "it has hung up" : reason,
         event == PeerEvent::kSilent ? Millis(0) : options_.grace);
  }
}

void Coordinator::Lose(uint32_t id, Worker* worker, const std::string& reason, Millis grace) {
  if (worker->state != Worker::State::kActive || ended_) return;
  LogWarning("[coordinator] /job:worker/task:{} is lost: {}", id, reason);
  worker->state = Worker::State::kLost;
  alone_since_ = Clock::now();
  worker->given_up_at = alone_since_ + (options_.mode == Mode::kSplit ? Millis(0) : grace);
  ++worker->losses;
  if (worker->take.pending()) worker->take.Fail(Fenced(id, worker->generation, "it was lost"));
  changed_.notify_all();
}

// --- Registration ------------------------------------------------------------------------

void Coordinator::RegisterServer(const Request& request, Responder& responder) {
  const auto control = Unpack<RegisterServerControl>(request.control, "a server's registration");
  if (control.shard < 0 || static_cast<size_t>(control.shard) >= shards_.size() ||
      control.address.empty()) {
    throw InvalidArgumentError("[coordinator] server {} registers at '{}'; expected a shard of {}",
                               control.shard, control.address, shards_.size());
  }
  Shard& shard = shards_[static_cast<size_t>(control.shard)];
  const uint64_t life = request.peer->generation;
  const bool restarted = !shard.address.empty() && shard.life != life;
  shard.restarted |= restarted;
  shard.address = control.address;
  shard.life = life;
  LogInfo("[coordinator] /job:ps/task:{} is at {}{}", control.shard, control.address,
          restarted ? ", restarted" : "");
  changed_.notify_all();
  Send(responder, RegisterServerReply{options_.launch_id});
}

void Coordinator::RegisterWorker(const Request& request, Responder& responder) {
  if (request.peer->role != kWorkerRole) {
    throw FailedPreconditionError("[coordinator] {} registers as a worker; expected the role '{}'",
                                  request.peer->Name(), kWorkerRole);
  }
  const uint32_t id = request.header.worker;
  Worker& worker = workers_[id];
  if (worker.registration.pending()) {
    worker.registration.Fail(Fenced(id, request.header.generation, "another life of it has come"));
  }
  worker.registration = std::move(responder);
  worker.coming_life = request.peer->generation;
  if (options_.mode == Mode::kSplit) Lose(id, &worker, "it registers anew", Millis(0));
  AnswerRegistration(id, &worker);
}

// Unless it is too early: an earlier life must be settled where its lease depends on it.
void Coordinator::AnswerRegistration(uint32_t id, Worker* worker) {
  if (!worker->registration.pending()) return;
  using State = Worker::State;
  const bool unsettled = worker->state == State::kEvicting ||
                         (worker->state == State::kLost && options_.mode == Mode::kSplit);
  if (!ended_ && (!ready_ || unsettled)) return;
  if (worker->state == State::kActive) ++worker->losses;
  if (worker->take.pending()) {
    worker->take.Fail(Fenced(id, worker->generation, "a later life has come"));
  }
  if (!ended_) board_.Join(id);
  worker->generation = ++last_generation_;
  worker->life = worker->coming_life;
  worker->state = State::kActive;
  LogInfo("[coordinator] /job:worker/task:{} works as generation {}", id, worker->generation);
  Send(worker->registration, RegisterWorkerReply{worker->generation, options_.workers});
  changed_.notify_all();
}

Coordinator::Worker& Coordinator::Current(const Request& request) {
  const uint32_t id = request.header.worker;
  const uint64_t generation = request.header.generation;
  const auto it = workers_.find(id);
  if (request.peer->role != kWorkerRole || it == workers_.end() || it->second.generation == 0) {
    throw FailedPreconditionError("[coordinator] {} has not registered", request.peer->Name());
  }
  Worker& worker = it->second;
  if (worker.generation != generation) {
    throw Fenced(id, generation, fmt::format("its generation is {} now", worker.generation));
  }
  if (worker.state != Worker::State::kActive) throw Fenced(id, generation, "it was lost");
  return worker;
}

// --- Steps -------------------------------------------------------------------------------

void Coordinator::HandleTake(const Request& request, Responder& responder) {
  const auto control = Unpack<TakeControl>(request.control, "a request for steps");
  if (ended_) return Send(responder, TakeReply{.finished = true, .lease = {}});
  Worker& worker = Current(request);
  if (worker.take.pending()) {
    worker.take.Fail(FailedPreconditionError("[coordinator] worker {} asks for steps twice at once",
                                             request.header.worker));
  }
  worker.take = std::move(responder);
  worker.clock = control.clock;
  AnswerTakes();
}

void Coordinator::AnswerTakes() {
  if (ended_) return;
  for (auto& [id, worker] : workers_) {
    if (!worker.take.pending()) continue;
    try {
      const std::optional<Lease> lease = board_.Take(id, worker.clock);
      if (lease) Send(worker.take, TakeReply{.finished = false, .lease = *lease});
    } catch (const std::exception& error) {
      worker.take.Fail(error);
    }
  }
  changed_.notify_all();
}

void Coordinator::HandleDone(const Request& request, Responder& responder) {
  const auto control = Unpack<DoneControl>(request.control, "a worker's figures");
  Worker& worker = Current(request);
  const std::vector<double>& figures = control.figures;
  if (!figures.empty() && !figures_.empty() && figures.size() != figures_.size()) {
    throw InvalidArgumentError("[coordinator] worker {} has {} figures; expected {}, as others "
                               "have", request.header.worker, figures.size(), figures_.size());
  }
  const int64_t batches = board_.Done(request.header.worker, control.lease);
  if (batches > 0) {  // else said again
    worker.steps += batches;
    if (figures_.empty()) figures_.resize(figures.size());
    for (size_t i = 0; i < figures.size(); ++i) figures_[i] += figures[i];
    changed_.notify_all();
  }
  responder.Reply();
}

StatusReply Coordinator::Status() const {
  StatusReply status{.job = options_.job, .launch_id = options_.launch_id, .servers = {},
                     .workers = {}, .open = board_.open(), .window = board_.window(),
                     .done = board_.done()};
  for (const Shard& shard : shards_) status.servers.push_back(shard.address);
  for (const auto& [id, worker] : workers_) {
    if (worker.generation == 0 && !worker.registration.pending()) continue;
    WorkerStatus s{.id = id, .generation = worker.generation, .state = "working",
                   .steps = worker.steps, .lease = {}, .losses = worker.losses};
    const Lease* lease = board_.LeaseOf(id);
    if (lease != nullptr) s.lease = *lease;
    if (worker.state == Worker::State::kActive) {
      if (lease == nullptr) s.state = "waiting";
    } else if (worker.registration.pending()) {
      s.state = "registering";
    } else {
      s.state = worker.state == Worker::State::kEvicted ? "evicted" : "lost";
    }
    status.workers.push_back(std::move(s));
  }
  return status;
}

}  // namespace tributary::coordinator

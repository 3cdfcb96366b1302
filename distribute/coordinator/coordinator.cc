// The chief's side of the coordinator.

#include "distribute/coordinator/coordinator.h"

#include <algorithm>
#include <random>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "core/base/strings.h"

namespace tributary::coordinator {
namespace {

CoordinatorOptions Complete(CoordinatorOptions options) {
  if (options.servers < 1 || options.workers < 1) {
    throw InvalidArgumentError("[coordinator] a job of {} servers and {} workers; expected at "
                               "least one of each", options.servers, options.workers);
  }
  if (options.launch_id.empty()) {
    std::random_device random;
    options.launch_id = fmt::format("{:08x}{:08x}", random(), random());
  }
  return options;
}

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options)
    : options_(Complete(std::move(options))),
      board_(options_.mode, options_.servers, options_.lease_steps),
      shards_(static_cast<size_t>(options_.servers)),
      alone_since_(Clock::now()) {
  // So that no generation of an earlier launch, which servers may remember, comes again.
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  last_generation_ = static_cast<uint64_t>(std::chrono::duration_cast<Millis>(now).count());
  ServerOptions server = options_.server;
  server.hello = options_.hello;
  server.observer = [this](const Hello& hello, PeerEvent event, const std::string& reason) {
    OnPeer(hello, event, reason);
  };
  server_ = Listen(options_.address,
                   [this](const Request& r, Responder to) { Handle(r, std::move(to)); }, server);
}

Coordinator::~Coordinator() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    const UnavailableError gone("[coordinator] the chief of job '{}' is going", options_.job);
    for (auto& [id, worker] : workers_) {
      if (worker.registration.pending()) worker.registration.Fail(gone);
      if (worker.take.pending()) worker.take.Fail(gone);
    }
    for (Responder& r : awaiting_end_) r.Fail(gone);
  }
  server_->Stop();
}

// --- Servers -----------------------------------------------------------------------------

void Coordinator::WaitForServers(Millis time) {
  std::vector<std::string> missing;
  const auto all_there = [&] {
    missing.clear();
    for (size_t s = 0; s < shards_.size(); ++s) {
      if (shards_[s].address.empty()) missing.push_back(fmt::format("/job:ps/task:{}", s));
    }
    return missing.empty();
  };
  Lock lock(mutex_);
  if (changed_.wait_until(lock, After(time), all_there)) return;
  throw UnavailableError(
      "[coordinator] {} of {} parameter servers did not come within {:.1f} s: {}; look at their "
      "logs", missing.size(), shards_.size(), static_cast<double>(time.count()) / 1000,
      Join(missing, ", "));
}

std::vector<std::string> Coordinator::servers() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> addresses;
  for (const Shard& shard : shards_) addresses.push_back(shard.address);
  return addresses;
}

std::string Coordinator::FindServer(int shard) const {
  const std::vector<std::string> addresses = servers();
  if (shard < 0 || static_cast<size_t>(shard) >= addresses.size() ||
      addresses[static_cast<size_t>(shard)].empty()) {
    throw UnavailableError("[coordinator] /job:ps/task:{} of {} has not registered", shard,
                           addresses.size());
  }
  return addresses[static_cast<size_t>(shard)];
}

// --- Workers and windows ------------------------------------------------------------------

void Coordinator::SetEvict(Evict evict) {
  const std::lock_guard lock(mutex_);
  evict_ = std::move(evict);
}

void Coordinator::SetReady() {
  const std::lock_guard lock(mutex_);
  ready_ = true;
  alone_since_ = Clock::now();
  for (auto& [id, worker] : workers_) AnswerRegistration(id, &worker);
}

void Coordinator::Open(const Window& window) {
  const std::lock_guard lock(mutex_);
  // A short window still has something for everybody.
  const int64_t share = (window.end - window.begin) / (2 * options_.workers);
  board_.Open(window, options_.mode == Mode::kSplit ? std::max<int64_t>(1, share) : 0);
  reported_ = 0;
  alone_since_ = Clock::now();
  AnswerTakes();
}

void Coordinator::Close() {
  const std::lock_guard lock(mutex_);
  board_.Close();
}

Coordinator::Progress Coordinator::Await(Millis time) {
  const Deadline deadline = After(time);
  Lock lock(mutex_);
  for (;;) {
    SettleLost(lock);
    const Progress now{.done = board_.done(), .complete = board_.complete()};
    const bool over = now.complete || ended_;
    if (!over) CheckAnyWorker();
    if (over || now.done != reported_ || request_is_new_ || Clock::now() >= deadline) {
      reported_ = now.done;
      request_is_new_ = false;
      return now;
    }
    changed_.wait_until(lock, std::min(deadline, NextDue()));
  }
}

bool Coordinator::AnyActive() const {
  return std::any_of(workers_.begin(), workers_.end(), [](const auto& entry) {
    return entry.second.state == Worker::State::kActive;
  });
}

// When Await has something to do by itself.
Deadline Coordinator::NextDue() const {
  Deadline next = AnyActive() ? Deadline::max() : alone_since_ + options_.patience;
  for (const auto& [id, worker] : workers_) {
    if (worker.state == Worker::State::kLost) next = std::min(next, worker.given_up_at);
  }
  return next;
}

void Coordinator::SettleLost(Lock& lock) {
  for (auto& [id, worker] : workers_) {
    const bool due = worker.state == Worker::State::kLost && Clock::now() >= worker.given_up_at;
    if (!due || ended_) continue;
    if (!evict_) {
      throw InternalError("[coordinator] worker {} is lost before the chief has called SetEvict",
                          id);
    }
    worker.state = Worker::State::kEvicting;
    const uint64_t lowest = worker.generation + 1;
    lock.unlock();
    std::vector<int64_t> clocks;
    try {
      clocks = evict_(id, lowest);
    } catch (...) {
      lock.lock();
      worker.state = Worker::State::kLost;
      throw;
    }
    lock.lock();
    const Lease* lease = board_.LeaseOf(id);
    const std::string had = lease ? fmt::format("; what is left of batches {} to {} goes to others",
                                                lease->begin, lease->end)
                                  : "";
    worker.state = Worker::State::kEvicted;
    board_.Lost(id, clocks);
    LogWarning("[coordinator] /job:worker/task:{} was evicted{}", id,
               options_.mode == Mode::kSplit ? had : "; the others go on without it");
    AnswerRegistration(id, &worker);
    AnswerTakes();
  }
}

void Coordinator::CheckAnyWorker() const {
  if (AnyActive() || Clock::now() < alone_since_ + options_.patience) return;
  std::vector<std::string> names;
  for (int w = 0; w < options_.workers; ++w) {
    const auto it = workers_.find(static_cast<uint32_t>(w));
    const bool came = it != workers_.end() && it->second.generation != 0;
    names.push_back(fmt::format("/job:worker/task:{} {}", w, came ? "was lost" : "never came"));
  }
  for (const auto& [id, worker] : workers_) {
    if (id >= static_cast<uint32_t>(options_.workers) && worker.generation != 0) {
      names.push_back(fmt::format("/job:worker/task:{} was lost", id));
    }
  }
  throw UnavailableError("[coordinator] job '{}' has had no worker for {:.1f} s: {}; look at their "
                         "logs, and start it again from its last checkpoint", options_.job,
                         static_cast<double>(options_.patience.count()) / 1000, Join(names, ", "));
}

std::vector<double> Coordinator::TakeFigures() {
  const std::lock_guard lock(mutex_);
  return std::exchange(figures_, {});
}

uint32_t Coordinator::TakeRequests() {
  const std::lock_guard lock(mutex_);
  return std::exchange(requests_, 0);
}

std::vector<WorkerStatus> Coordinator::WorkerStates() const {
  const std::lock_guard lock(mutex_);
  return Status().workers;
}

std::vector<int> Coordinator::TakeRestarted() {
  const std::lock_guard lock(mutex_);
  std::vector<int> restarted;
  for (size_t s = 0; s < shards_.size(); ++s) {
    if (std::exchange(shards_[s].restarted, false)) restarted.push_back(static_cast<int>(s));
  }
  return restarted;
}

void Coordinator::Abandon() {
  const std::lock_guard lock(mutex_);
  board_ = StepBoard(options_.mode, options_.servers, options_.lease_steps);
  ready_ = false;
  figures_.clear();
  for (auto& [id, worker] : workers_) {
    if (worker.generation == 0) continue;
    worker.state = Worker::State::kEvicted;
    if (!worker.take.pending()) continue;
    worker.take.Fail(FailedPreconditionError(
        "[coordinator] worker {} is fenced: all go back to an earlier state; register again", id));
  }
}

void Coordinator::End(const std::string& error) {
  Lock lock(mutex_);
  if (!std::exchange(ended_, true)) {
    end_error_ = error;
    for (auto& [id, worker] : workers_) {
      AnswerRegistration(id, &worker);
      if (!worker.take.pending()) continue;
      const std::string packed = Pack(TakeReply{.finished = true, .lease = {}});
      worker.take.Reply(AsBytes(packed));
    }
    const std::string packed = Pack(EndReply{end_error_});
    for (Responder& r : awaiting_end_) r.Reply(AsBytes(packed));
    awaiting_end_.clear();
  }
  changed_.wait_until(lock, After(options_.farewell), [&] { return peers_ == 0; });
}

}  // namespace tributary::coordinator

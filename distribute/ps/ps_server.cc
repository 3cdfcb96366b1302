#include "distribute/ps/ps_server.h"

#include <algorithm>
#include <cstring>

#include "core/base/denormals.h"
#include "core/base/logging.h"

namespace tributary::ps {
namespace {

using SteadyClock = std::chrono::steady_clock;

double Seconds(SteadyClock::time_point since) {
  return std::chrono::duration<double>(SteadyClock::now() - since).count();
}

}  // namespace

PsServer::PsServer(PsServerOptions options)
    : options_(std::move(options)), env_(options_.env ? options_.env : PosixEnv()),
      place_{options_.dir, options_.shard, options_.shards},
      version_salt_(uint64_t{std::random_device{}()} << 40), shard_(options_.consistency),
      restart_(env_, place_) {
  if (options_.shards < 1 || options_.shard < 0 || options_.shard >= options_.shards) {
    throw InvalidArgumentError("[ps] shard {} of {}", options_.shard, options_.shards);
  }
}

PsServer::~PsServer() {
  // Whoever still waits is told so; the saver holds a responder and is joined first.
  base_saver_.request_stop();
  WaitForSave();
  const UnavailableError gone("[ps] server {} of {} is shutting down", options_.shard,
                              options_.shards);
  for (Waiting& w : waiting_) w.responder.Fail(gone);
  for (auto& [name, barrier] : barriers_) {
    for (Responder& r : barrier.responders) r.Fail(gone);
  }
  for (Save& s : saves_) s.responder.Fail(gone);
}

// --- Requests --------------------------------------------------------------------------

void PsServer::Handle(const Request& request, Responder responder) {
  const ScopedFlushDenormals flush;
  const std::lock_guard lock(mutex_);
  const auto begin = SteadyClock::now();
  const uint16_t kind = request.header.kind;
  try {
    Dispatch(request, responder);
  } catch (const FailedPreconditionError& error) {
    ++fenced_;
    responder.Fail(error);
  } catch (const UnknownListError& error) {
    ++unknown_lists_;
    responder.Fail(error);
  } catch (const std::exception& error) {
    ++errors_;
    responder.Fail(error);
  }
  if (IsPush(kind)) push_us_.Add(Seconds(begin) * 1e6);
  if (kind == kPull) pull_us_.Add(Seconds(begin) * 1e6);
}

void PsServer::Dispatch(const Request& request, Responder& responder) {
  switch (request.header.kind) {
    case kPull:
      return HandleStep(request, Shard::Verdict::kFresh, ListsOf(request), responder);
    case kBarrier: return HandleBarrier(request, responder);
    case kSave:
      saves_.push_back({Unpack<SaveControl>(request.control, "a save"), std::move(responder)});
      return Release();
    case kCommit:
      HandleCommit(request);
      return responder.Reply();
    case kRestore:
      HandleRestore(request);
      return responder.Reply();
    case kStats: {
      const std::string packed = Pack(Collect());
      return responder.Reply(AsBytes(packed));
    }
    default:
      if (Mutates(request.header.kind)) return HandleMutation(request, responder);
      throw UnimplementedError("[ps] a request of kind {}", request.header.kind);
  }
}

void PsServer::HandleMutation(const Request& request, Responder& responder) {
  const FrameHeader& h = request.header;
  MutatingFrame frame{h, request.control, request.payload, nullptr};
  if (IsPush(h.kind)) frame.lists = ListsOf(request);
  const Shard::Verdict verdict = shard_.Admit(frame);
  if (verdict == Shard::Verdict::kFresh) {
    if (log_ && log_->broken()) OpenLog();
    if (log_) Log(frame);
    Apply(frame);
  } else if (verdict != Shard::Verdict::kLate) {
    ++duplicates_;
    ++workers_[h.worker].duplicates;
  }
  if (IsPush(h.kind)) {
    HandleStep(request, verdict, std::move(frame.lists), responder);
  } else {
    if (h.kind == kEvict) {
      const auto evict = Unpack<EvictControl>(request.control, "an eviction");
      kept_.erase(evict.worker);
      FailWaiting(evict.worker, FailedPreconditionError(
          "[ps] worker {} was evicted while it waited", evict.worker));
      ReplyWorker(evict.worker, responder);
    } else if (h.kind == kJoin) {
      kept_.erase(h.worker);
      ReplyWorker(h.worker, responder);
    } else if (h.kind == kPark) {
      ReplyWorker(h.worker, responder);
    } else {
      responder.Reply();
    }
  }
  Release();
}

void PsServer::ReplyWorker(uint32_t worker, Responder& responder) {
  const auto it = shard_.ledger().entries().find(worker);
  const int64_t clock = it == shard_.ledger().entries().end() ? 0 : it->second.clock;
  const std::string packed =
      Pack(WorkerReply{.clock = clock, .applied_steps = shard_.applied_steps(),
                       .pace = shard_.ledger().PaceOnGoingOn(worker)});
  responder.Reply(AsBytes(packed));
}

void PsServer::HandleStep(const Request& request, Shard::Verdict verdict,
                          std::vector<KeyList> lists, Responder& responder) {
  message_.Parse(request.control);
  Waiting w{.request = request, .responder = std::move(responder), .lists = std::move(lists),
            .since = SteadyClock::now()};
  const int64_t step = message_.control.step;
  if (request.header.kind != kPull) {
    w.done_step = step;
    if (verdict == Shard::Verdict::kDuplicate) w.flags |= kDuplicate;
    if (verdict == Shard::Verdict::kPending) w.flags |= kDuplicate;
    if (verdict == Shard::Verdict::kLate) w.flags |= kLate;
  }
  if (request.header.kind != kPush) {
    w.pull = true;
    const int64_t later = request.header.kind == kPull ? 0 : 1;
    w.pull_step = step + later;
    w.pull_pace = message_.control.pace + later;
  }
  AnswerOrWait(std::move(w));
}

bool PsServer::Ready(const Waiting& w) const {
  if (w.done_step >= 0 && !shard_.Done(w.done_step)) return false;
  return w.pull_step < 0 || shard_.MayPull(w.request.header.worker, w.pull_step, w.pull_pace);
}

void PsServer::AnswerOrWait(Waiting w) {
  if (Ready(w)) return Answer(w);
  ++workers_[w.request.header.worker].waits;
  waiting_.push_back(std::move(w));
}

void PsServer::Answer(Waiting& w) {
  if (w.pull && !shard_.sync()) {
    const uint32_t worker = w.request.header.worker;
    const WorkerLedger::Paces others = shard_.ledger().OthersThan(worker);
    workers_[worker].slowest = others.slowest.value_or(INT64_MAX);
    w.pull_pace = shard_.CountsAs(others, w.pull_pace);
  }
  try {
    ReplyStep(w);
  } catch (const std::exception& error) {
    ++errors_;
    w.responder.Fail(error);
  }
}

// After every change: whoever waited for it gets an answer, in the order they came.
void PsServer::Release() {
  for (size_t i = 0; i < waiting_.size();) {
    if (!Ready(waiting_[i])) {
      ++i;
      continue;
    }
    Waiting w = std::move(waiting_[i]);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    workers_[w.request.header.worker].waited_seconds += Seconds(w.since);
    Answer(w);
  }
  TakeCut();
}

void PsServer::FailWaiting(uint32_t worker, const std::exception& error) {
  for (Waiting& w : waiting_) {
    if (w.request.header.worker == worker) w.responder.Fail(error);
  }
  std::erase_if(waiting_, [](const Waiting& w) { return !w.responder.pending(); });
}

void PsServer::HandleBarrier(const Request& request, Responder& responder) {
  const auto control = Unpack<BarrierControl>(request.control, "a barrier");
  if (control.count < 1 || control.name.size() > 1000) {
    throw InvalidArgumentError("[ps] a barrier for {} with a name of {} bytes", control.count,
                               control.name.size());
  }
  if (!barriers_.contains(control.name) && barriers_.size() >= 1000) {
    throw ResourceExhaustedError("[ps] more than 1000 barriers wait");
  }
  Barrier& barrier = barriers_[control.name];
  barrier.workers.insert(request.header.worker);
  barrier.responders.push_back(std::move(responder));
  if (barrier.workers.size() < control.count) return;
  std::vector<Responder> all = std::move(barrier.responders);
  barriers_.erase(control.name);
  for (Responder& r : all) r.Reply();
}

}  // namespace tributary::ps

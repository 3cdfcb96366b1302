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
      version_salt_(uint64_t{std::random_device{}()} << 40), shard_(options_.consistency) {
  if (options_.shards < 1 || options_.shard < 0 || options_.shard >= options_.shards) {
    throw InvalidArgumentError("[ps] shard {} of {}", options_.shard, options_.shards);
  }
}

PsServer::~PsServer() {
  // Whoever still waits is told so; the saver holds a responder and is joined first.
  if (saver_.joinable()) saver_.join();
  const UnavailableError gone("[ps] server {} of {} is shutting down", options_.shard,
                              options_.shards);
  for (Waiting& w : waiting_) w.responder.Fail(gone);
  for (auto& [name, barrier] : barriers_) {
    for (Responder& r : barrier.responders) r.Fail(gone);
  }
  for (Save& s : saves_) s.responder.Fail(gone);
}

void PsServer::OpenLog() {
  if (options_.durability == Durability::kCheckpoint || options_.dir.empty()) return;
  env_->CreateDirs(options_.dir);
  log_ = std::make_unique<PushLogWriter>(env_, place_, next_segment_++,
                                         options_.durability == Durability::kFsync);
  for (const MutatingFrame& frame : shard_.Pending()) Log(frame, kLogPending);
}

uint64_t PsServer::Recover(const std::string& checkpoint) {
  const ScopedFlushDenormals flush;
  const std::lock_guard lock(mutex_);
  uint64_t first = 1, replayed = 0;
  bool replay = true;
  if (!checkpoint.empty()) {
    const RestoredFrom from =
        RestoreShard(env_, checkpoint, options_.shard, options_.shards, &shard_);
    first = from.first_segment;
    replay = from.same_shards;
    cuts_.push_back(first);
  }
  if (!options_.dir.empty() && options_.durability != Durability::kCheckpoint) {
    for (const uint64_t segment : LogSegments(env_, place_)) {
      if (replay && segment >= first) replayed += Replay(segment);
      next_segment_ = std::max(next_segment_, segment + 1);
    }
  }
  OpenLog();
  return replayed;
}

std::string PsServer::marker() const {
  return fmt::format("{}/ps-{:05d}-of-{:05d}.checkpoint", options_.dir, options_.shard,
                     options_.shards);
}

// What a restart of this server begins with; "": with its log alone.
void PsServer::Note(const std::string& checkpoint) {
  if (options_.dir.empty()) return;
  env_->CreateDirs(options_.dir);
  WriteFileAtomically(env_, marker(), checkpoint);
}

uint64_t PsServer::Recover() {
  const bool noted = !options_.dir.empty() && env_->Exists(marker());
  return Recover(noted ? ReadFile(env_, marker()) : "");
}

void PsServer::Begin() {
  const std::lock_guard lock(mutex_);
  if (options_.dir.empty()) return;
  env_->CreateDirs(options_.dir);
  if (env_->Exists(marker())) env_->Remove(marker());
  for (const uint64_t segment : LogSegments(env_, place_)) {
    env_->Remove(LogSegmentName(place_, segment));
  }
  OpenLog();
}

uint64_t PsServer::Replay(uint64_t segment) {
  PushLogReader reader(env_, place_, segment);
  LogRecord record;
  uint64_t frames = 0;
  while (reader.Read(&record)) {
    ++frames;
    if (record.header.kind == kRestore) {
      RestoreFrom(Unpack<RestoreControl>(record.control, "a restore").prefix);
      continue;
    }
    // A frame of an unfinished step outlives the reader's buffer.
    const bool keep = shard_.sync() && IsPush(record.header.kind);
    MutatingFrame frame{record.header, record.control, record.payload, nullptr};
    if (keep) {
      auto copy = std::make_shared<std::vector<uint64_t>>(
          (record.control.size() + 7) / 8 + (record.payload.size() + 7) / 8 + 1);
      auto* bytes = reinterpret_cast<std::byte*>(copy->data());
      const size_t payload_at = Padded8(record.control.size());
      std::memcpy(bytes, record.control.data(), record.control.size());
      if (!record.payload.empty()) {
        std::memcpy(bytes + payload_at, record.payload.data(), record.payload.size());
      }
      frame.control = {bytes, record.control.size()};
      frame.payload = {bytes + payload_at, record.payload.size()};
      frame.keep = std::move(copy);
    }
    if (record.header.flags & kLogPending) {
      // A later segment repeats what an earlier one, replayed too, has brought already.
      const auto pending = shard_.Pending();
      const bool there = std::any_of(pending.begin(), pending.end(), [&](const MutatingFrame& f) {
        return f.header.worker == frame.header.worker &&
               f.header.generation == frame.header.generation &&
               f.header.sequence == frame.header.sequence;
      });
      if (!there) shard_.ApplyPending(frame);
    } else if (shard_.Admit(frame) == Shard::Verdict::kFresh) {
      shard_.Apply(frame);
    }
  }
  if (reader.torn()) {
    LogWarning("[ps log] segment {} of shard {} ends within a record that was never acknowledged",
               segment, options_.shard);
  }
  return frames;
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
    shard_.Apply(frame);
  } else if (verdict != Shard::Verdict::kLate) {
    ++duplicates_;
    ++workers_[h.worker].duplicates;
  }
  if (IsPush(h.kind)) {
    if (verdict == Shard::Verdict::kFresh) CountPush(request);
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

void PsServer::CountPush(const Request& request) {
  message_.Parse(request.control);
  WorkerCounters& w = workers_[request.header.worker];
  ++w.pushes;
  ++staleness_[std::min<size_t>(staleness_.size() - 1, static_cast<size_t>(w.pull_staleness))];
  for (const PartControl& part : message_.push()) {
    TargetCounters& c = counters_[{part.kind, part.target}];
    ++c.pushes;
    c.pushed_keys += part.count;
  }
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
    w.pull_step = request.header.kind == kPull ? step : step + 1;
  }
  AnswerOrWait(std::move(w));
}

bool PsServer::Ready(const Waiting& w) const {
  if (w.done_step >= 0 && !shard_.Done(w.done_step)) return false;
  return w.pull_step < 0 || shard_.MayPull(w.request.header.worker, w.pull_step);
}

void PsServer::AnswerOrWait(Waiting w) {
  if (Ready(w)) return Answer(w);
  ++workers_[w.request.header.worker].waits;
  waiting_.push_back(std::move(w));
}

void PsServer::Answer(Waiting& w) {
  WorkerCounters& worker = workers_[w.request.header.worker];
  if (w.pull_step >= 0) {
    worker.pull_staleness = shard_.StalenessOf(w.request.header.worker, w.pull_step);
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

// --- Checkpoints ------------------------------------------------------------------------

// The cut: at a complete step (sync), when all have done so many (bounded), or now.
void PsServer::TakeCut() {
  for (size_t i = 0; i < saves_.size();) {
    const bool due = options_.consistency.mode == Consistency::kAsync ||
                     shard_.applied_steps() >= saves_[i].control.step;
    if (!due) {
      ++i;
      continue;
    }
    if (saver_.joinable()) saver_.join();
    Save save = std::move(saves_[i]);
    saves_.erase(saves_.begin() + static_cast<std::ptrdiff_t>(i));
    try {
      OpenLog();
      const uint64_t first = log_ ? log_->segment() : 0;
      saved_[save.control.prefix] = first;
      auto snapshot = std::make_shared<ShardSnapshot>(&shard_, options_.shard, options_.shards,
                                                      first);
      saver_ = std::jthread([this, snapshot, save = std::make_shared<Save>(std::move(save))] {
        try {
          SaveReply reply;
          reply.entries = snapshot->Write(env_, save->control.prefix, &reply.bytes,
                                          save->control.files);
          const std::string packed = Pack(reply);
          save->responder.Reply(AsBytes(packed));
        } catch (const std::exception& error) {
          LogError("[ps] saving {} failed: {}", save->control.prefix, error.what());
          save->responder.Fail(error);
        }
      });
    } catch (const std::exception& error) {
      save.responder.Fail(error);
    }
  }
}

void PsServer::WaitForSave() {
  if (saver_.joinable()) saver_.join();
}

// Workers join anew: those of the past are no part of this job.
void PsServer::RestoreFrom(const std::string& checkpoint) {
  if (checkpoint.empty()) return shard_.Clear();
  RestoreShard(env_, checkpoint, options_.shard, options_.shards, &shard_);
  shard_.ForgetWorkers();
}

// The log so far belongs to a state that is gone. The new one begins with the restore.
void PsServer::HandleRestore(const Request& request) {
  const auto restore = Unpack<RestoreControl>(request.control, "a restore");
  RestoreFrom(restore.prefix);
  const FailedPreconditionError gone(
      "[ps] server {} went back to {} while worker requests waited; join again", options_.shard,
      restore.prefix.empty() ? "nothing" : restore.prefix);
  for (Waiting& w : waiting_) w.responder.Fail(gone);
  waiting_.clear();
  kept_.clear();
  saved_.clear();
  cuts_.clear();
  Note(log_ ? "" : restore.prefix);
  if (!log_) return;
  log_.reset();
  for (const uint64_t segment : LogSegments(env_, place_)) {
    env_->Remove(LogSegmentName(place_, segment));
  }
  OpenLog();
  FrameHeader header = request.header;
  const auto append = [&](uint16_t kind, const std::string& control) {
    header.kind = kind;
    log_->Append(header, AsBytes(control), ConstBytes{});
  };
  for (const auto& [id, table] : shard_.tables()) append(kCreateTable, Pack(table->spec()));
  for (const auto& [id, v] : shard_.variables()) append(kCreateVariable, Pack(v->spec()));
  append(kRestore, Pack(restore));
}

// Segments that neither this checkpoint nor the one before it needs are removed.
void PsServer::HandleCommit(const Request& request) {
  const auto commit = Unpack<CommitControl>(request.control, "a commit");
  const auto it = saved_.find(commit.prefix);
  // Also of what an earlier life saved: the checkpoint before it may be deleted next, and a
  // checkpoint knows itself where the log goes on from it.
  Note(commit.prefix);
  if (it == saved_.end()) return;  // a retry, or saved in another life
  cuts_.push_back(it->second);
  saved_.erase(saved_.begin(), std::next(it));
  if (!log_ || cuts_.size() < 2) return;
  const uint64_t keep = cuts_[cuts_.size() - 2];
  cuts_.erase(cuts_.begin(), cuts_.end() - 2);
  for (const uint64_t segment : LogSegments(env_, place_)) {
    if (segment < keep) env_->Remove(LogSegmentName(place_, segment));
  }
}

}  // namespace tributary::ps

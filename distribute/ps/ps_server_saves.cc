// A server's log and checkpoints, and how it comes back from them.

#include <algorithm>
#include <cstring>

#include "core/base/denormals.h"
#include "core/base/logging.h"
#include "distribute/ps/ps_server.h"

namespace tributary::ps {
namespace {

constexpr uint64_t kLeastLogLimit = uint64_t{1} << 30;

}  // namespace

bool PsServer::logs() const {
  return options_.durability != Durability::kCheckpoint && !options_.dir.empty();
}

void PsServer::OpenLog() {
  if (!logs()) return;
  env_->CreateDirs(options_.dir);
  auto next = std::make_unique<PushLogWriter>(env_, place_, next_segment_++,
                                              options_.durability == Durability::kFsync);
  if (log_) closed_[log_->segment()] = log_->bytes();
  log_ = std::move(next);
  closed_.erase(closed_.begin(), closed_.lower_bound(restart_.first()));
  for (const MutatingFrame& frame : shard_.Pending()) Log(frame, kLogPending);
}

uint64_t PsServer::Recover() { return RecoverFrom(restart_.Read()); }

uint64_t PsServer::Recover(const std::string& checkpoint) {
  const RestartPoint::Start noted = restart_.Read();
  if (checkpoint == noted.prefix) return RecoverFrom(noted);
  return RecoverFrom({.first = 0, .prefix = checkpoint});
}

uint64_t PsServer::RecoverFrom(RestartPoint::Start start) {
  const ScopedFlushDenormals flush;
  const std::lock_guard lock(mutex_);
  uint64_t replayed = 0;
  bool replay = logs();
  if (!start.prefix.empty()) {
    const RestoredFrom from =
        RestoreShard(env_, start.prefix, options_.shard, options_.shards, &shard_);
    start.first = logs() ? from.first_segment : 0;
    replay = replay && from.same_shards;
  }
  restart_.Resume(start);
  if (logs()) {
    for (const uint64_t segment : LogSegments(env_, place_)) {
      closed_[segment] =
          static_cast<uint64_t>(env_->FileSize(LogSegmentName(place_, segment)));
      if (replay && segment >= start.first) replayed += Replay(segment);
      next_segment_ = std::max(next_segment_, segment + 1);
    }
  }
  OpenLog();
  return replayed;
}

void PsServer::Begin() {
  const std::lock_guard lock(mutex_);
  restart_.Clear();
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
    saving_ = true;
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
        saving_ = false;
      });
    } catch (const std::exception& error) {
      saving_ = false;
      save.responder.Fail(error);
    }
  }
  TakeBase();
}

void PsServer::WaitForSave() {
  if (saver_.joinable()) saver_.join();
  if (base_saver_.joinable()) base_saver_.join();
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
  base_saver_.request_stop();
  if (!log_) {
    restart_.Replace({.first = 0, .prefix = restore.prefix});
    return;
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
  restart_.Replace({.first = log_->segment(), .prefix = ""});
}

// The checkpoint before it may be deleted next: what a restart begins with must be noted now,
// also of what an earlier life saved.
void PsServer::HandleCommit(const Request& request) {
  const auto commit = Unpack<CommitControl>(request.control, "a commit");
  const auto it = saved_.find(commit.prefix);
  uint64_t first = 0;
  if (it != saved_.end()) {
    first = it->second;
    saved_.erase(saved_.begin(), std::next(it));
  } else if (log_) {  // a retry, or saved in another life
    first = FirstSegmentOf(env_, commit.prefix, options_.shard, options_.shards);
  }
  if (!restart_.Commit({.first = first, .prefix = commit.prefix})) {
    LogInfo("[ps] {} was cut before what server {} begins with now", commit.prefix,
            options_.shard);
  }
}

// --- Bases ------------------------------------------------------------------------------

uint64_t PsServer::LogBytes() const {
  uint64_t bytes = log_ ? log_->bytes() : 0;
  for (auto it = closed_.lower_bound(restart_.first()); it != closed_.end(); ++it) {
    bytes += it->second;
  }
  return bytes;
}

uint64_t PsServer::LogLimit() const {
  if (options_.log_limit > 0) return options_.log_limit;
  uint64_t shard = 0;
  for (const auto& [id, t] : shard_.tables()) shard += t->rows() * t->row_floats() * sizeof(float);
  for (const auto& [id, v] : shard_.variables()) shard += v->bytes();
  return std::max(kLeastLogLimit, 4 * shard);
}

// A long log is replaced by a copy of what it has led to. Any moment is a good one, in sync too:
// the tables hold the steps that are complete, and the new segment begins with the frames of
// those that are not.
void PsServer::TakeBase() {
  if (!log_ || saving_ || basing_) return;
  const uint64_t first = restart_.first(), bytes = LogBytes();
  if (base_failed_.exchange(false)) refused_ = {first, bytes};
  if (bytes < LogLimit() + (refused_.first == first ? refused_.bytes : 0)) return;
  if (base_saver_.joinable()) base_saver_.join();
  basing_ = true;
  std::string prefix = "the log's next segment";
  try {
    OpenLog();
    auto snapshot = std::make_shared<ShardSnapshot>(&shard_, options_.shard, options_.shards,
                                                    log_->segment());
    prefix = restart_.BeginBase(log_->segment());
    base_saver_ = std::jthread([this, snapshot, prefix](const std::stop_token& stop) {
      WriteBase(*snapshot, prefix, stop);
      basing_ = false;
    });
  } catch (const std::exception& error) {
    BaseFailed(prefix, error);
    basing_ = false;
  }
}

// On a thread of its own: a save that comes meanwhile does not wait for it, nor do pushes.
void PsServer::WriteBase(const ShardSnapshot& snapshot, const std::string& prefix,
                         const std::stop_token& stop) {
  try {
    snapshot.WriteAlone(env_, prefix, stop);
    bases_ += restart_.EndBase();
  } catch (const std::exception& error) {
    // Else the server ends, or goes back to a checkpoint.
    if (!stop.stop_requested()) BaseFailed(prefix, error);
    restart_.DropBase();
  }
}

void PsServer::BaseFailed(const std::string& prefix, const std::exception& error) {
  LogWarning("[ps] server {} can't write {}, so its log grows on; tried again when it has grown "
             "by as much again: {}", options_.shard, prefix, error.what());
  base_failed_ = true;
}

}  // namespace tributary::ps

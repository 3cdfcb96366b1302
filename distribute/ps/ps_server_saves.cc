// A server's log and checkpoints, and how it comes back from them.

#include <algorithm>
#include <cstring>

#include "core/base/denormals.h"
#include "core/base/logging.h"
#include "distribute/ps/ps_server.h"

namespace tributary::ps {

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

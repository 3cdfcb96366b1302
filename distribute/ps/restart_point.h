#pragma once
// What a restart of a server begins with, and which files that leaves without use.
//
//   marker  "<dir>/ps-00002-of-00004.checkpoint": the first segment of the log that a restart
//           replays, a new line, the prefix of the checkpoint before it ("": none)
//   base    "<dir>/ps-00002-of-00004.base-0000000017.index", ".data-...": a checkpoint of this
//           shard alone, as it was when segment 17 began; made when the log has grown long
//
// Whoever changes the start has first written all that the new one needs. Then the marker is
// replaced, atomically and for good; then goes what only the old start needed. A crash in
// between leaves the old start with all of its log or the new one with its own, and at worst
// files too many, which the next change or restart removes.
//
// A start never goes back: segments before its first may be gone. So the late commit of a
// checkpoint that was cut before the present base changes nothing.
//
// Any thread. Without a folder nothing is noted, and nothing is there.

#include <atomic>
#include <mutex>
#include <string>

#include "distribute/ps/push_log.h"

namespace tributary::ps {

class RestartPoint {
 public:
  RestartPoint(Env* env, LogPlace place) : env_(env), place_(std::move(place)) {}

  struct Start {
    uint64_t first = 0;  // segment
    std::string prefix;  // "": the log alone
    bool operator==(const Start&) const = default;
  };
  // What the marker says, {} without one. Throws DataLossError.
  Start Read() const;
  // A restart has begun with `start`, which need not be what the marker says. Throws
  // DataLossError when that is a base which is later: the log before it is gone.
  void Resume(const Start& start);
  // Whatever an earlier job has left goes: marker, bases, log.
  void Clear();

  // All but Clear leave a later start as it is, and return false then.
  // Of a checkpoint: the log since the start before it stays until the next one.
  bool Commit(const Start& next);
  // Nothing before it stays.
  bool Replace(const Start& next);

  // A base is about to be written: where to. Until it has ended, its files are left alone.
  std::string BeginBase(uint64_t first);
  // It is on the device: a restart begins with it.
  bool EndBase();
  // It is not, or its end failed: its files go, unless the marker names it.
  void DropBase();

  // Of the present start.
  uint64_t first() const { return first_; }

 private:
  std::string marker() const;
  std::string BaseName() const;  // of any base, as it begins
  bool IsBase(const Start& start) const;
  bool Change(const Start& next, uint64_t keep);
  void RemoveUnused(uint64_t keep);
  void RemoveBases();

  Env* const env_;
  const LogPlace place_;
  mutable std::mutex mutex_;
  Start start_;
  Start base_;  // being written; prefix "": none
  std::atomic<uint64_t> first_{0};
};

}  // namespace tributary::ps

#pragma once
// A shard's part of a checkpoint, in TensorFlow's bundle format.
//
//   <variable>, <variable>/<slot>        dense, as a partitioned variable's slices
//   <table>/ids, <table>/values          all servers' rows, one server's after another's
//   <table>/<slot>, /seen, /frequency
//   _ps/shard-00001-of-00004/state       specs, counters, workers, seen sequences
//   _ps/shard-00001-of-00004/<table>/admission
//
// Every server writes its own data file (core/io/bundle_shard.h); the chief commits.
// Any number of servers restores: each takes the parts and the ids that are its own.
//
// A shard alone (a base, see restart_point.h) is restored by its own server only. Its dense
// parts are tensors of their own, "<variable>@<first row>", and it has
//
//   _ps/shard-00001-of-00004/alone

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include "core/io/bundle_shard.h"
#include "distribute/ps/shard.h"

namespace tributary::ps {

// A copy of all that a shard holds, detached from it: may be written by another thread.
class ShardSnapshot {
 public:
  // Settles `shard` first. `first_segment`: the log that begins at this cut.
  ShardSnapshot(Shard* shard, int index, int shards, uint64_t first_segment);
  ~ShardSnapshot();
  ShardSnapshot(ShardSnapshot&&) noexcept;

  // Writes the data file, one of `files` (0: one a server); returns what
  // CommitBundleShards needs. Any thread.
  std::string Write(Env* env, const std::string& prefix, uint64_t* bytes, int files = 0) const;
  // Writes this shard alone, and commits it. Any thread. Throws AbortedError once `stop` was
  // asked for.
  void WriteAlone(Env* env, const std::string& prefix, const std::stop_token& stop) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct RestoredFrom {
  bool same_shards = false;     // as many servers as wrote it: all state is back
  uint64_t first_segment = 0;   // of the log that goes on from there
};

// Restores a shard's own state. With as many servers as had written it, tables and
// variables that are missing are created, and workers and their sequences come back.
// With another number, those that exist (the chief has created them) get their values;
// workers must join anew with higher generations. Throws NotFoundError, DataLossError.
RestoredFrom RestoreShard(Env* env, const std::string& prefix, int index, int shards,
                          Shard* shard);
// Of the log that goes on from what server `index` of `shards` has saved. Throws as above.
uint64_t FirstSegmentOf(Env* env, const std::string& prefix, int index, int shards);

}  // namespace tributary::ps

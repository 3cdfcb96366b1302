#pragma once
// The `checkpoint` file of a directory: which checkpoints there are, for people,
// TensorFlow and TensorBoard (tf.train.get_checkpoint_state). A hint: what counts
// is the index files.

#include <optional>
#include <string>
#include <vector>

#include "core/io/env.h"

namespace tributary {

struct CheckpointState {
  struct Entry {
    std::string path;      // relative to the directory, or absolute
    double timestamp = 0;  // seconds since the epoch
  };
  std::vector<Entry> all;  // oldest first; the last is the newest
  double last_preserved = 0;
};

// Empty when there is no such file; logs a warning and returns empty when it
// can't be parsed.
std::optional<CheckpointState> ReadCheckpointState(Env* env, const std::string& dir);
void WriteCheckpointState(Env* env, const std::string& dir, const CheckpointState& state);

// tf.train.latest_checkpoint: the newest complete checkpoint of a directory as
// a path prefix, "" when there is none. Considers the state file and what lies
// there.
std::string LatestCheckpoint(Env* env, const std::string& dir);

// Numbers N of files "<name>-<N>.index" in a directory, ascending. A missing
// directory has none.
std::vector<int64_t> CheckpointNumbers(Env* env, const std::string& dir, const std::string& name);

}  // namespace tributary

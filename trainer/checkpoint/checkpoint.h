#pragma once
// One checkpoint: variables by their object graph, and extra entries, written so
// that tf.train.Checkpoint and tf.train.load_checkpoint read it.

#include <map>
#include <string>
#include <vector>

#include "core/io/bundle_reader.h"
#include "core/io/env.h"
#include "trainer/checkpoint/trackable.h"

namespace tributary {

// What is saved. Extras (step, epoch, data position, RNG state, configuration,
// JSON) lie beside the object graph, under "_tributary/<name>": TensorFlow lists
// and reads them, but its restore neither expects nor misses them.
struct CheckpointContent {
  TrackablePtr root;
  std::map<std::string, Tensor> extras;

  // A copy that later training does not change.
  CheckpointContent Snapshot() const;
  // Of all tensors.
  int64_t Bytes() const;
};

// Writes <prefix>.index and <prefix>.data-*. When it returns, the checkpoint
// survives a power cut; when it throws, nothing of it is left. Throws
// AlreadyExistsError for a prefix that exists.
void WriteCheckpoint(Env* env, const std::string& prefix, const CheckpointContent& content,
                     int num_shards = 1);

struct RestoreOptions {
  // Variables that the file has not keep their values; otherwise restoring
  // throws FailedPreconditionError that lists them.
  bool expect_partial = false;
};

// The same as the last of several data files; `others` are what BundleShardWriter::Finish
// returned for those before it. The index is written here: the commit.
void WriteCheckpointWith(Env* env, const std::string& prefix, const CheckpointContent& content,
                         std::vector<std::string> others);

// A checkpoint opened for reading, ours or TensorFlow's.
class CheckpointFile {
 public:
  // Throws NotFoundError or DataLossError.
  CheckpointFile(Env* env, const std::string& prefix);

  const BundleReader& bundle() const { return bundle_; }
  // Reads everything and checks every checksum. Throws DataLossError.
  void Verify() const { bundle_.VerifyAll(); }

  // Overwrites the tensors below `root`. All is read and checked before the first
  // is written, so a failure changes nothing. Returns the keys that were read.
  // Throws InvalidArgumentError naming the variable and both shapes or dtypes
  // when the checkpoint is another model's.
  std::vector<std::string> Restore(const TrackablePtr& root, const RestoreOptions& options = {}) const;

  std::vector<std::string> ExtraNames() const;
  bool HasExtra(const std::string& name) const;
  // Throws NotFoundError.
  Tensor Extra(const std::string& name) const;

 private:
  GraphMatch Match(const TrackablePtr& root) const;

  BundleReader bundle_;
};

}  // namespace tributary

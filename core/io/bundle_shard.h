#pragma once
// One checkpoint written by several processes: each writes the data file of its own
// shard, one of them (who got everybody's entries) the index, which is the commit.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/io/env.h"
#include "core/tensor/tensor.h"

namespace tributary {

class BundleShardWriter {
 public:
  // Writes <prefix>.data-<shard>-of-<num_shards> under a temporary name.
  BundleShardWriter(Env* env, std::string prefix, int shard, int num_shards);
  ~BundleShardWriter();
  BundleShardWriter(const BundleShardWriter&) = delete;
  BundleShardWriter& operator=(const BundleShardWriter&) = delete;

  // A whole tensor, of a name that no other shard writes.
  void Add(const std::string& name, const Tensor& tensor);
  // Rows [begin, begin + part.dim(0)) of a variable of shape `full`.
  void AddRows(const std::string& name, const Shape& full, int64_t begin, const Tensor& part);
  // Rows of a tensor that is all shards' rows, one shard's after another's; how many
  // there are in all is known at the commit.
  void AddConcatenated(const std::string& name, const Tensor& part);

  // Syncs the data and names it; what CommitBundleShards needs of this shard.
  std::string Finish();
  int64_t bytes() const { return offset_; }

 private:
  void Write(const std::string& name, const Tensor& tensor, int64_t begin, const Shape* full);

  Env* env_;
  std::string prefix_, name_, temporary_;
  std::unique_ptr<WritableFile> file_;
  int shard_, num_shards_;
  int64_t offset_ = 0;
  std::string entries_;
  bool finished_ = false;
};

// Writes the index over the shards' data files, given what Finish returned for each, in
// order: after it returned, the checkpoint exists and survives a power cut. Throws
// InvalidArgumentError when they do not fit together, AlreadyExistsError.
void CommitBundleShards(Env* env, const std::string& prefix,
                        const std::vector<std::string>& entries);

}  // namespace tributary

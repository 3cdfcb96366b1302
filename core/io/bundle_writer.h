#pragma once
// Writes TensorFlow's checkpoint format V2 (tensorflow/core/util/tensor_bundle,
// BundleWriter): <prefix>.index, a table of tensor names, and
// <prefix>.data-SSSSS-of-NNNNN, the tensors' bytes back to back.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/io/bundle_format.h"
#include "core/io/env.h"
#include "core/tensor/tensor.h"

namespace tributary {

// Files bear temporary names until Finish(); the destructor removes them when
// Finish() was not reached or threw. One thread at a time.
class BundleWriter {
 public:
  // Throws AlreadyExistsError when a bundle of this prefix exists: a prefix is
  // never written twice. `env` must outlive the writer.
  BundleWriter(Env* env, std::string prefix, int num_shards = 1);
  ~BundleWriter();
  BundleWriter(const BundleWriter&) = delete;
  BundleWriter& operator=(const BundleWriter&) = delete;

  // Any plain dtype or strings, in any order of names; every shard must get at
  // least one tensor. Throws InvalidArgumentError for a name given twice.
  void Add(const std::string& name, const Tensor& tensor, int shard = 0);
  // A part of the variable `name` of shape `full`, beginning at `starts`, as a
  // partitioned variable stores it. The parts must tile the variable.
  void AddSlice(const std::string& name, const Shape& full, const std::vector<int64_t>& starts,
                const Tensor& part, int shard = 0);
  // Syncs the data, names it, syncs the index, names it (the commit), syncs the
  // directory: after it returned, the bundle survives a power cut.
  void Finish();

 private:
  struct Shard;
  struct Sliced;

  std::string Temporary(const std::string& name) const { return name + temp_suffix_; }
  // Appends the bytes; returns the serialized BundleEntryProto.
  std::string WriteEntry(const Tensor& tensor, int shard);
  void Remember(const std::string& key, std::string entry);
  std::string IndexBytes() const;
  void RemoveTemporaries() noexcept;

  Env* env_;
  std::string prefix_;
  std::string temp_suffix_;
  std::vector<Shard> shards_;
  std::map<std::string, std::string> entries_;
  std::map<std::string, Sliced> sliced_;
  bool finished_ = false;
};

}  // namespace tributary

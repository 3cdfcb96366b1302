#pragma once
// Reads TensorFlow's checkpoint format V2 (tensorflow/core/util/tensor_bundle,
// BundleReader), also what we never write: Snappy index blocks, big-endian
// data.
//
// Nothing is allocated for a length that the files cannot back, so a hostile
// checkpoint costs no more than its own size.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/io/env.h"
#include "core/tensor/tensor.h"

namespace tributary {

// What the index says of one tensor.
struct BundleTensorInfo {
  std::string dtype_name;  // "float32"; "DT_COMPLEX64" where Tensor has no such dtype
  Shape shape;
  int64_t bytes = 0;  // in the data files; 0 for sliced ones
  bool sliced = false;
};

// The index is read and checked by the constructor, data when asked for. Safe
// from several threads.
class BundleReader {
 public:
  // Throws NotFoundError, or DataLossError naming the file and the reason.
  BundleReader(Env* env, std::string prefix);
  ~BundleReader();

  const std::string& prefix() const { return prefix_; }
  int num_shards() const { return num_shards_; }
  const std::map<std::string, BundleTensorInfo>& tensors() const { return tensors_; }
  bool Has(const std::string& name) const { return tensors_.contains(name); }
  // Bytes of all data together.
  int64_t TotalBytes() const;

  // The first data file that is missing or ends before its last tensor, as a sentence;
  // "" when all are there. Looks at sizes alone.
  std::string DataMistake() const;

  // Verifies the checksum. Throws NotFoundError (with the nearest name),
  // DataLossError naming tensor, file and offset, UnimplementedError for a
  // dtype that Tensor has not.
  Tensor Read(const std::string& name) const;
  // Reads everything and verifies every checksum, also of foreign dtypes.
  void VerifyAll() const;

 private:
  struct Entry;

  void AddEntry(const std::string& key, std::string_view bytes);
  const ReadableFile& Data(int shard) const;
  [[noreturn]] void Corrupt(const std::string& name, const Entry& entry,
                            const std::string& what) const;
  // The stored bytes, once they are known to lie inside the file.
  void Fetch(const std::string& name, const Entry& entry, void* out) const;
  Tensor ReadEntry(const std::string& name, const Entry& entry) const;
  Tensor ReadStrings(const std::string& name, const Entry& entry) const;
  Tensor ReadSliced(const std::string& name, const Entry& entry) const;
  void VerifyForeign(const std::string& name, const Entry& entry) const;

  Env* env_;
  std::string prefix_;
  int num_shards_ = 0;
  bool big_endian_ = false;
  std::map<std::string, BundleTensorInfo> tensors_;
  std::map<std::string, Entry> entries_;  // slices too, under their encoded keys
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<ReadableFile>> data_;
};

}  // namespace tributary

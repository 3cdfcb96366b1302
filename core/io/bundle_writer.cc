#include "core/io/bundle_writer.h"

#include <unistd.h>

#include "core/base/errors.h"
#include "core/io/bundle_data.h"
#include "core/io/coding.h"
#include "core/io/crc32c.h"
#include "core/io/table.h"
#include "core/proto/checkpoint.pb.h"
#include "core/tensor/proto.h"

namespace tributary {
namespace {

constexpr int kVersion = 1;

// Several bundles of one process may be under way in one directory.
std::string NextTempSuffix() {
  static std::atomic<uint64_t> counter{0};
  return fmt::format("{}{}-{}", kBundleTempMark, getpid(), counter++);
}

}  // namespace

struct BundleWriter::Shard {
  std::string name;
  std::unique_ptr<WritableFile> file;
  int64_t size = 0;
  int tensors = 0;
  bool renamed = false;
};

struct BundleWriter::Sliced {
  proto::BundleEntryProto entry;
  int64_t elements = 0;
};

BundleWriter::BundleWriter(Env* env, std::string prefix, int num_shards)
    : env_(env), prefix_(std::move(prefix)), temp_suffix_(NextTempSuffix()) {
  if (num_shards < 1 || num_shards > 99999) {
    throw InvalidArgumentError("[checkpoint] expected 1 to 99999 shards, got {}", num_shards);
  }
  if (env_->Exists(BundleIndexName(prefix_))) {
    throw AlreadyExistsError("[checkpoint] {} exists; a checkpoint is never overwritten, choose "
                             "another number or directory",
                             BundleIndexName(prefix_));
  }
  try {
    for (int i = 0; i < num_shards; ++i) {
      Shard shard;
      shard.name = BundleDataName(prefix_, i, num_shards);
      shard.file = env_->OpenWritable(Temporary(shard.name), OpenMode::kCreate);
      shards_.push_back(std::move(shard));
    }
  } catch (...) {
    RemoveTemporaries();
    throw;
  }
}

BundleWriter::~BundleWriter() {
  if (!finished_) RemoveTemporaries();
}

void BundleWriter::RemoveTemporaries() noexcept {
  const auto remove = [this](const std::string& path) {
    try {
      if (env_->Exists(path)) env_->Remove(path);
    } catch (const std::exception&) {  // the error that led here is the one that counts
    }
  };
  for (Shard& shard : shards_) {
    shard.file.reset();
    remove(Temporary(shard.name));
    // Without its index a named data file belongs to no checkpoint.
    if (shard.renamed && !env_->Exists(BundleIndexName(prefix_))) remove(shard.name);
  }
  remove(Temporary(BundleIndexName(prefix_)));
}

std::string BundleWriter::WriteEntry(const Tensor& tensor, int shard_id) {
  if (shard_id < 0 || shard_id >= static_cast<int>(shards_.size())) {
    throw InvalidArgumentError("[checkpoint] shard {} is not in [0, {})", shard_id,
                               shards_.size());
  }
  if (!IsPlain(tensor.dtype()) && tensor.dtype() != DType::kString) {
    throw InvalidArgumentError("[checkpoint] a {} tensor can't be saved",
                               DTypeName(tensor.dtype()));
  }
  Shard& shard = shards_[shard_id];
  int64_t bytes = 0;
  const uint32_t crc = AppendTensorData(tensor, shard.file.get(), &bytes);
  proto::BundleEntryProto entry;
  entry.set_dtype(static_cast<proto::DataType>(tensor.dtype()));
  ShapeToProto(tensor.shape(), entry.mutable_shape());
  entry.set_shard_id(shard_id);
  entry.set_offset(shard.size);
  entry.set_size(bytes);
  entry.set_crc32c(MaskCrc(crc));
  shard.size += bytes;
  ++shard.tensors;
  return entry.SerializeAsString();
}

void BundleWriter::Remember(const std::string& key, std::string entry) {
  if (!entries_.emplace(key, std::move(entry)).second) {
    throw InvalidArgumentError("[checkpoint] tensor '{}' is saved twice", key);
  }
}

void BundleWriter::Add(const std::string& name, const Tensor& tensor, int shard) {
  if (name.empty() || name[0] == '\0') {
    throw InvalidArgumentError("[checkpoint] a tensor needs a name that does not begin with a "
                               "zero byte");
  }
  if (entries_.contains(name) || sliced_.contains(name)) Remember(name, {});
  Remember(name, WriteEntry(tensor, shard));
}

void BundleWriter::AddSlice(const std::string& name, const Shape& full,
                            const std::vector<int64_t>& starts, const Tensor& part, int shard) {
  std::vector<SliceExtent> extents(full.rank());
  bool whole = static_cast<int>(starts.size()) == full.rank() && part.rank() == full.rank();
  bool inside = whole;
  for (int d = 0; inside && d < full.rank(); ++d) {
    inside = starts[d] >= 0 && part.dim(d) <= full[d] - starts[d];
    if (part.dim(d) != full[d]) {
      extents[d] = {starts[d], part.dim(d)};
      whole = false;
    }
  }
  if (!inside) {
    throw InvalidArgumentError("[checkpoint] a slice of shape {} lies outside variable '{}' of "
                               "shape {}",
                               part.shape().ToString(), name, full.ToString());
  }
  if (whole) return Add(name, part, shard);
  if (entries_.contains(name)) Remember(name, {});
  Sliced& sliced = sliced_[name];
  sliced.entry.set_dtype(static_cast<proto::DataType>(part.dtype()));
  ShapeToProto(full, sliced.entry.mutable_shape());
  sliced.elements += part.NumElements();
  auto* slice = sliced.entry.add_slices();
  for (const SliceExtent& extent : extents) {
    auto* out = slice->add_extent();
    if (extent.length < 0) continue;
    out->set_start(extent.start);
    out->set_length(extent.length);
  }
  Remember(EncodeSliceKey(name, extents), WriteEntry(part, shard));
}

std::string BundleWriter::IndexBytes() const {
  std::map<std::string, std::string> all = entries_;
  for (const auto& [name, sliced] : sliced_) {
    if (sliced.elements != ShapeFromProto(sliced.entry.shape()).NumElements()) {
      throw InvalidArgumentError("[checkpoint] the slices of '{}' do not tile it", name);
    }
    all.emplace(name, sliced.entry.SerializeAsString());
  }
  proto::BundleHeaderProto header;
  header.set_num_shards(static_cast<int>(shards_.size()));
  header.mutable_version()->set_producer(kVersion);
  TableBuilder table;
  table.Add("", header.SerializeAsString());
  for (const auto& [key, entry] : all) table.Add(key, entry);
  return table.Finish();
}

void BundleWriter::Finish() {
  TRB_CHECK(!finished_);
  for (Shard& shard : shards_) {
    if (shard.tensors == 0) {
      throw FailedPreconditionError("[checkpoint] {} got no tensor; use fewer shards", shard.name);
    }
    shard.file->Sync();
    shard.file->Close();
  }
  const std::string index_name = BundleIndexName(prefix_);
  const auto index = env_->OpenWritable(Temporary(index_name), OpenMode::kCreate);
  index->Append(IndexBytes());
  index->Sync();
  index->Close();
  for (Shard& shard : shards_) {
    shard.renamed = true;
    env_->Rename(Temporary(shard.name), shard.name);
  }
  // The data's names must be durable before the index's: the index is the commit.
  const std::string dir = DirName(prefix_);
  env_->SyncDir(dir);
  env_->Rename(Temporary(index_name), index_name);
  env_->SyncDir(dir);
  finished_ = true;
}

}  // namespace tributary

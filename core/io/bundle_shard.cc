#include "core/io/bundle_shard.h"

#include <unistd.h>

#include <map>

#include "core/base/errors.h"
#include "core/io/bundle_data.h"
#include "core/io/bundle_format.h"
#include "core/io/coding.h"
#include "core/io/crc32c.h"
#include "core/io/table.h"
#include "core/proto/checkpoint.pb.h"
#include "core/tensor/proto.h"

namespace tributary {
namespace {

constexpr int64_t kConcatenated = -1;  // where a part begins is known at the commit
constexpr int64_t kWhole = -2;

void PutString(std::string* out, std::string_view text) {
  PutVarint(out, text.size());
  out->append(text);
}

std::string_view TakeString(std::string_view* in) {
  uint64_t size = 0;
  if (!GetVarint(in, &size) || size > in->size()) {
    throw InvalidArgumentError("[checkpoint] the entries of a shard are cut short");
  }
  const std::string_view text = in->substr(0, size);
  in->remove_prefix(size);
  return text;
}

// One tensor, or a part of one, as a shard reports it.
struct Part {
  std::string name;
  int64_t begin;  // or kConcatenated, kWhole
  proto::BundleEntryProto entry;      // of the part
  proto::TensorShapeProto full;       // with begin >= 0
};

void AppendPart(std::string* out, const Part& part) {
  PutString(out, part.name);
  PutFixed64(out, static_cast<uint64_t>(part.begin));
  PutString(out, part.entry.SerializeAsString());
  PutString(out, part.full.SerializeAsString());
}

Part TakePart(std::string_view* in) {
  Part part;
  part.name = TakeString(in);
  if (in->size() < 8) throw InvalidArgumentError("[checkpoint] entries of a shard are cut short");
  part.begin = static_cast<int64_t>(GetFixed64(in->data()));
  in->remove_prefix(8);
  const std::string_view entry = TakeString(in), full = TakeString(in);
  if (!part.entry.ParseFromArray(entry.data(), static_cast<int>(entry.size())) ||
      !part.full.ParseFromArray(full.data(), static_cast<int>(full.size()))) {
    throw InvalidArgumentError("[checkpoint] an entry of '{}' can't be read", part.name);
  }
  return part;
}

int64_t Rows(const proto::BundleEntryProto& entry) {
  return entry.shape().dim_size() > 0 ? entry.shape().dim(0).size() : 0;
}

// All parts of one name become a whole entry, or a sliced one and its slices.
void JoinParts(const std::string& name, std::vector<Part> parts,
               std::map<std::string, std::string>* index) {
  if (parts.size() == 1 && parts[0].begin == kWhole) {
    (*index)[name] = parts[0].entry.SerializeAsString();
    return;
  }
  int64_t rows = 0;
  const bool concatenated = parts[0].begin == kConcatenated;
  proto::BundleEntryProto all;
  for (Part& part : parts) {
    if (part.begin == kWhole || (part.begin == kConcatenated) != concatenated ||
        part.entry.dtype() != parts[0].entry.dtype() ||
        part.entry.shape().dim_size() != parts[0].entry.shape().dim_size() ||
        part.full.SerializeAsString() != parts[0].full.SerializeAsString()) {
      throw InvalidArgumentError("[checkpoint] the parts of '{}' do not fit together", name);
    }
    if (concatenated) part.begin = rows;
    rows += Rows(part.entry);
  }
  *all.mutable_shape() = parts[0].full.dim_size() > 0 ? parts[0].full : parts[0].entry.shape();
  if (parts[0].full.dim_size() == 0) all.mutable_shape()->mutable_dim(0)->set_size(rows);
  if (all.shape().dim(0).size() != rows) {
    throw InvalidArgumentError("[checkpoint] the parts of '{}' have {} rows; expected {}", name,
                               rows, all.shape().dim(0).size());
  }
  all.set_dtype(parts[0].entry.dtype());
  for (const Part& part : parts) {
    if (Rows(part.entry) == rows) {  // the only one that has any
      (*index)[name] = part.entry.SerializeAsString();
      return;
    }
    if (Rows(part.entry) == 0) continue;
    std::vector<SliceExtent> extents(all.shape().dim_size());
    extents[0] = {part.begin, Rows(part.entry)};
    auto* slice = all.add_slices();
    for (size_t d = 0; d < extents.size(); ++d) slice->add_extent();
    slice->mutable_extent(0)->set_start(extents[0].start);
    slice->mutable_extent(0)->set_length(extents[0].length);
    (*index)[EncodeSliceKey(name, extents)] = part.entry.SerializeAsString();
  }
  (*index)[name] = all.SerializeAsString();
}

}  // namespace

BundleShardWriter::BundleShardWriter(Env* env, std::string prefix, int shard, int num_shards)
    : env_(env), prefix_(std::move(prefix)), name_(BundleDataName(prefix_, shard, num_shards)),
      temporary_(fmt::format("{}{}{}", name_, kBundleTempMark, getpid())), shard_(shard),
      num_shards_(num_shards) {
  if (num_shards < 1 || num_shards > 99999 || shard < 0 || shard >= num_shards) {
    throw InvalidArgumentError("[checkpoint] shard {} of {}", shard, num_shards);
  }
  file_ = env_->OpenWritable(temporary_, OpenMode::kTruncate);
}

BundleShardWriter::~BundleShardWriter() {
  if (finished_) return;
  file_.reset();
  try {
    env_->Remove(temporary_);
  } catch (const std::exception&) {  // the error that led here is the one that counts
  }
}

void BundleShardWriter::Write(const std::string& name, const Tensor& tensor, int64_t begin,
                              const Shape* full) {
  const bool known = IsPlain(tensor.dtype()) || tensor.dtype() == DType::kString;
  if (name.empty() || name[0] == '\0' || !known) {
    throw InvalidArgumentError("[checkpoint] a {} tensor '{}' can't be saved in a shard",
                               DTypeName(tensor.dtype()), name);
  }
  int64_t bytes = 0;
  const uint32_t crc = AppendTensorData(tensor, file_.get(), &bytes);
  Part part{.name = name, .begin = begin};
  part.entry.set_dtype(static_cast<proto::DataType>(tensor.dtype()));
  ShapeToProto(tensor.shape(), part.entry.mutable_shape());
  part.entry.set_shard_id(shard_);
  part.entry.set_offset(offset_);
  part.entry.set_size(bytes);
  part.entry.set_crc32c(MaskCrc(crc));
  if (full) ShapeToProto(*full, &part.full);
  offset_ += bytes;
  AppendPart(&entries_, part);
}

void BundleShardWriter::Add(const std::string& name, const Tensor& tensor) {
  Write(name, tensor, kWhole, nullptr);
}

void BundleShardWriter::AddRows(const std::string& name, const Shape& full, int64_t begin,
                                const Tensor& part) {
  if (full.rank() == 0 || (begin == 0 && part.shape() == full)) return Add(name, part);
  if (part.rank() != full.rank() || begin < 0 || begin + part.dim(0) > full[0]) {
    throw InvalidArgumentError("[checkpoint] rows from {} of shape {} lie outside '{}' of shape {}",
                               begin, part.shape().ToString(), name, full.ToString());
  }
  Write(name, part, begin, &full);
}

void BundleShardWriter::AddConcatenated(const std::string& name, const Tensor& part) {
  Write(name, part, kConcatenated, nullptr);
}

std::string BundleShardWriter::Finish() {
  file_->Sync();
  file_->Close();
  env_->Rename(temporary_, name_);
  env_->SyncDir(DirName(prefix_));
  finished_ = true;
  std::string out;
  PutVarint(&out, static_cast<uint64_t>(shard_));
  PutVarint(&out, static_cast<uint64_t>(num_shards_));
  out += entries_;
  PutFixed32(&out, MaskCrc(Crc32c(out)));
  return out;
}

void CommitBundleShards(Env* env, const std::string& prefix,
                        const std::vector<std::string>& entries) {
  const std::string index_name = BundleIndexName(prefix);
  if (env->Exists(index_name)) {
    throw AlreadyExistsError("[checkpoint] {} exists; a checkpoint is never overwritten", index_name);
  }
  std::map<std::string, std::vector<Part>> parts;
  for (size_t i = 0; i < entries.size(); ++i) {
    std::string_view in = entries[i];
    if (in.size() < 4 ||
        GetFixed32(in.data() + in.size() - 4) != MaskCrc(Crc32c(in.substr(0, in.size() - 4)))) {
      throw InvalidArgumentError("[checkpoint] the entries of shard {} are damaged", i);
    }
    in.remove_suffix(4);
    uint64_t shard = 0, num_shards = 0;
    if (!GetVarint(&in, &shard) || !GetVarint(&in, &num_shards) || shard != i ||
        num_shards != entries.size()) {
      throw InvalidArgumentError("[checkpoint] shard {} of {} where shard {} of {} is due", shard,
                                 num_shards, i, entries.size());
    }
    while (!in.empty()) {
      Part part = TakePart(&in);
      parts[part.name].push_back(std::move(part));
    }
  }
  proto::BundleHeaderProto header;
  header.set_num_shards(static_cast<int>(entries.size()));
  header.mutable_version()->set_producer(1);
  std::map<std::string, std::string> index = {{"", header.SerializeAsString()}};
  for (auto& [name, list] : parts) JoinParts(name, std::move(list), &index);
  TableBuilder table;
  for (const auto& [key, entry] : index) table.Add(key, entry);
  WriteFileAtomically(env, index_name, table.Finish());
}

}  // namespace tributary

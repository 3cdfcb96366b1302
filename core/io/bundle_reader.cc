#include "core/io/bundle_reader.h"

#include "core/base/checked.h"
#include "core/base/errors.h"
#include "core/base/strings.h"
#include "core/io/bundle_format.h"
#include "core/io/coding.h"
#include "core/io/crc32c.h"
#include "core/io/table.h"
#include "core/proto/checkpoint.pb.h"
#include "core/tensor/proto.h"

namespace tributary {
namespace {

constexpr int kVersion = 1;
constexpr int kMaxShards = 99999;

bool Known(int dtype) {
  return DTypeSize(static_cast<DType>(dtype)) > 0 && dtype != static_cast<int>(DType::kResource);
}

std::string NameOf(int dtype) {
  if (Known(dtype)) return DTypeName(static_cast<DType>(dtype));
  const std::string name = proto::DataType_Name(static_cast<proto::DataType>(dtype));
  return name.empty() ? std::to_string(dtype) : name;
}

void SwapBytes(const Tensor& tensor) {
  const size_t width = DTypeSize(tensor.dtype());
  auto* data = static_cast<char*>(tensor.raw_data());
  for (size_t i = 0; i + width <= tensor.bytes(); i += width) {
    std::reverse(data + i, data + i + width);
  }
}

// A box inside a tensor.
struct Box {
  std::vector<int64_t> start;
  std::vector<int64_t> size;
  std::vector<SliceExtent> extents;
};

// Throws InvalidArgumentError when the slice does not fit the shape.
Box BoxOf(const proto::TensorSliceProto& slice, const Shape& full) {
  if (slice.extent_size() != full.rank()) {
    throw InvalidArgumentError("a slice has {} dimensions, the tensor {}", slice.extent_size(),
                               full.rank());
  }
  Box box;
  for (int d = 0; d < full.rank(); ++d) {
    const auto& extent = slice.extent(d);
    const bool all = extent.has_length_case() == proto::TensorSliceProto::Extent::HAS_LENGTH_NOT_SET;
    const SliceExtent e = all ? SliceExtent{} : SliceExtent{extent.start(), extent.length()};
    const int64_t size = all ? full[d] : e.length;
    if (e.start < 0 || size < 0 || e.start > full[d] || size > full[d] - e.start) {
      throw InvalidArgumentError("a slice lies outside shape {}", full.ToString());
    }
    box.start.push_back(e.start);
    box.size.push_back(size);
    box.extents.push_back(e);
  }
  return box;
}

// Copies `part` into its box of `full` and marks what it covered.
void Place(const Tensor& part, const Box& box, const Tensor& full, std::vector<bool>* covered) {
  const size_t width = DTypeSize(part.dtype());
  const std::vector<int64_t> strides = full.shape().Strides();
  const int rank = full.rank();
  std::vector<int64_t> index(rank);
  for (int64_t i = 0; i < part.NumElements(); ++i) {
    int64_t at = 0;
    for (int d = 0; d < rank; ++d) at += (box.start[d] + index[d]) * strides[d];
    if (part.dtype() == DType::kString) {
      full.mutable_data<std::string>()[at] = part.data<std::string>()[i];
    } else {
      std::memcpy(static_cast<char*>(full.raw_data()) + at * width,
                  static_cast<const char*>(part.raw_data()) + i * width, width);
    }
    (*covered)[at] = true;
    for (int d = rank - 1; d >= 0 && ++index[d] == box.size[d]; --d) index[d] = 0;
  }
}

}  // namespace

struct BundleReader::Entry {
  int dtype = 0;
  Shape shape;
  int shard = 0;
  int64_t offset = 0;
  int64_t size = 0;
  uint32_t crc = 0;
  std::vector<Box> slices;
};

BundleReader::BundleReader(Env* env, std::string prefix) : env_(env), prefix_(std::move(prefix)) {
  const std::string index = BundleIndexName(prefix_);
  const std::string bytes = ReadFile(env_, index);
  bool first = true;
  ReadTable(bytes, index, [&](std::string_view key, std::string_view value) {
    if (!std::exchange(first, false)) return AddEntry(std::string(key), value);
    proto::BundleHeaderProto header;
    if (!key.empty() || !header.ParseFromArray(value.data(), static_cast<int>(value.size())) ||
        header.num_shards() < 1 || header.num_shards() > kMaxShards) {
      throw DataLossError("[checkpoint] {} is corrupt; it has no valid header", index);
    }
    if (header.version().min_consumer() > kVersion) {
      throw UnimplementedError("[checkpoint] {} needs a reader of version {}; expected at most {}",
                               index, header.version().min_consumer(), kVersion);
    }
    num_shards_ = header.num_shards();
    big_endian_ = header.endianness() == proto::BundleHeaderProto::BIG;
  });
  if (first) throw DataLossError("[checkpoint] {} is corrupt; it is empty", index);
  data_.resize(num_shards_);
}

BundleReader::~BundleReader() = default;

void BundleReader::AddEntry(const std::string& key, std::string_view bytes) {
  proto::BundleEntryProto message;
  Entry entry;
  try {
    if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      throw InvalidArgumentError("it can't be parsed");
    }
    entry.dtype = message.dtype();
    entry.shape = ShapeFromProto(message.shape());
    const int64_t count = entry.shape.NumElements();
    entry.shard = message.shard_id();
    entry.offset = message.offset();
    entry.size = message.size();
    entry.crc = message.crc32c();
    if (entry.shard < 0 || entry.shard >= num_shards_ || entry.offset < 0 || entry.size < 0) {
      throw InvalidArgumentError("shard {}, offset {} or size {} is out of range", entry.shard,
                                 entry.offset, entry.size);
    }
    for (const auto& slice : message.slices()) entry.slices.push_back(BoxOf(slice, entry.shape));
    if (entry.slices.empty() && Known(entry.dtype)) {
      const bool text = entry.dtype == static_cast<int>(DType::kString);
      const int64_t width = text ? 1 : DTypeSize(static_cast<DType>(entry.dtype));
      const int64_t needed = CheckedMul(count, width);
      if (text ? entry.size < CheckedAdd(needed, 4) : entry.size != needed) {
        throw InvalidArgumentError("{} {} does not fit {} bytes", NameOf(entry.dtype),
                                   entry.shape.ToString(), entry.size);
      }
    }
  } catch (const Error& error) {
    throw DataLossError("[checkpoint] {} is corrupt; entry '{}': {}", BundleIndexName(prefix_), key,
                        error.what());
  }
  if (key[0] != '\0') {
    tensors_[key] = {NameOf(entry.dtype), entry.shape, entry.size, !entry.slices.empty()};
  }
  entries_.emplace(key, std::move(entry));
}

int64_t BundleReader::TotalBytes() const {
  int64_t total = 0;
  for (const auto& [name, entry] : entries_) total = CheckedAdd(total, entry.size);
  return total;
}

std::string BundleReader::DataMistake() const {
  std::vector<int64_t> needed(num_shards_);
  for (const auto& [name, entry] : entries_) {
    if (!entry.slices.empty()) continue;  // its parts have entries of their own
    needed[entry.shard] = std::max(needed[entry.shard], CheckedAdd(entry.offset, entry.size));
  }
  for (int shard = 0; shard < num_shards_; ++shard) {
    const std::string path = BundleDataName(prefix_, shard, num_shards_);
    if (!env_->Exists(path)) return fmt::format("the data file {} is missing", path);
    const int64_t size = env_->FileSize(path);
    if (size < needed[shard]) {
      return fmt::format("the data file {} is cut off: it has {} bytes of {}", path, size,
                         needed[shard]);
    }
  }
  return "";
}

const ReadableFile& BundleReader::Data(int shard) const {
  const std::lock_guard lock(mutex_);
  auto& file = data_[shard];
  if (!file) {
    const std::string path = BundleDataName(prefix_, shard, num_shards_);
    try {
      file = env_->OpenReadable(path);
    } catch (const NotFoundError&) {
      throw DataLossError("[checkpoint] {} is incomplete; {} is missing", prefix_, path);
    }
  }
  return *file;
}

void BundleReader::Corrupt(const std::string& name, const Entry& entry,
                           const std::string& what) const {
  throw DataLossError("[checkpoint] {} is corrupt; {}; tensor '{}' at offset {}",
                      BundleDataName(prefix_, entry.shard, num_shards_), what, name, entry.offset);
}

void BundleReader::Fetch(const std::string& name, const Entry& entry, void* out) const {
  if (Data(entry.shard).Read(entry.offset, entry.size, out) != static_cast<size_t>(entry.size)) {
    Corrupt(name, entry, "the file changed while it was read");
  }
}

Tensor BundleReader::Read(const std::string& name) const {
  const auto info = tensors_.find(name);
  if (info == tensors_.end()) {
    std::vector<std::string> names;
    for (const auto& [known, unused] : tensors_) names.push_back(known);
    throw NotFoundError("[checkpoint] {} has no tensor '{}'{}", prefix_, name,
                        DidYouMean(name, names));
  }
  return ReadEntry(name, entries_.at(name));
}

Tensor BundleReader::ReadEntry(const std::string& name, const Entry& entry) const {
  if (!Known(entry.dtype)) {
    throw UnimplementedError("[checkpoint] {}: tensor '{}' is {}, which is not supported", prefix_,
                             name, NameOf(entry.dtype));
  }
  if (!entry.slices.empty()) return ReadSliced(name, entry);
  // Before memory is taken.
  const int64_t file_size = Data(entry.shard).size();
  if (entry.offset > file_size || entry.size > file_size - entry.offset) {
    Corrupt(name, entry, fmt::format("it ends at byte {}, before the {} bytes of a tensor",
                                     file_size, entry.size));
  }
  const auto dtype = static_cast<DType>(entry.dtype);
  if (dtype == DType::kString) return ReadStrings(name, entry);
  Tensor tensor = Tensor::Empty(dtype, entry.shape);
  Fetch(name, entry, tensor.raw_data());
  if (MaskCrc(ExtendCrc32c(0, tensor.raw_data(), tensor.bytes())) != entry.crc) {
    Corrupt(name, entry, "a checksum does not match");
  }
  if (big_endian_) SwapBytes(tensor);
  if (dtype == DType::kBool) NormalizeBools(tensor.raw_data(), tensor.bytes());
  return tensor;
}

Tensor BundleReader::ReadStrings(const std::string& name, const Entry& entry) const {
  std::string bytes(entry.size, '\0');
  Fetch(name, entry, bytes.data());
  std::string_view in = bytes;
  const int64_t count = entry.shape.NumElements();
  std::vector<uint64_t> lengths(count);
  uint64_t total = 0;
  uint32_t crc = 0;
  for (uint64_t& length : lengths) {
    if (!GetVarint(&in, &length) || length > bytes.size() - total) {
      Corrupt(name, entry, "the length of a string is malformed");
    }
    total += length;
    if (!big_endian_) {
      crc = ExtendCrc32c(crc, &length, length > UINT32_MAX ? 8 : 4);
    } else {
      const uint64_t swapped = __builtin_bswap64(length);
      const bool wide = length > UINT32_MAX;
      crc = ExtendCrc32c(crc, reinterpret_cast<const char*>(&swapped) + (wide ? 0 : 4),
                         wide ? 8 : 4);
    }
  }
  if (in.size() < 4 || in.size() - 4 != total) {
    Corrupt(name, entry, "the lengths of its strings do not add up");
  }
  uint32_t stored = GetFixed32(in.data());
  if (big_endian_) stored = __builtin_bswap32(stored);
  if (stored != MaskCrc(crc)) Corrupt(name, entry, "a checksum of lengths does not match");
  crc = ExtendCrc32c(crc, in.data(), in.size());
  if (MaskCrc(crc) != entry.crc) Corrupt(name, entry, "a checksum does not match");
  in.remove_prefix(4);
  Tensor tensor = Tensor::Empty(DType::kString, entry.shape);
  auto* out = tensor.mutable_data<std::string>();
  for (int64_t i = 0; i < count; ++i) {
    out[i] = in.substr(0, lengths[i]);
    in.remove_prefix(lengths[i]);
  }
  return tensor;
}

Tensor BundleReader::ReadSliced(const std::string& name, const Entry& entry) const {
  // Bytes used against bytes there: hostile parts may share their data.
  std::map<std::string, const Box*> keys;
  std::set<int> shards;
  int64_t used = 0;
  int64_t there = 0;
  for (const Box& box : entry.slices) {
    const std::string key = EncodeSliceKey(name, box.extents);
    const auto part = entries_.find(key);
    if (part == entries_.end() || part->second.dtype != entry.dtype ||
        part->second.shape.dims() != box.size || !part->second.slices.empty() ||
        !keys.emplace(key, &box).second) {
      Corrupt(name, entry, "a slice is missing, repeated or of another shape or dtype");
    }
    used = CheckedAdd(used, part->second.size);
    if (shards.insert(part->second.shard).second) there += Data(part->second.shard).size();
  }
  if (used > there) Corrupt(name, entry, "its slices overlap");
  std::vector<std::pair<Tensor, const Box*>> parts;
  int64_t elements = 0;
  for (const auto& [key, box] : keys) {
    parts.emplace_back(ReadEntry(name, entries_.at(key)), box);
    elements += parts.back().first.NumElements();
  }
  if (elements != entry.shape.NumElements()) Corrupt(name, entry, "its slices do not tile it");
  Tensor full = Tensor::Zeros(static_cast<DType>(entry.dtype), entry.shape);
  std::vector<bool> covered(elements);
  for (const auto& [part, box] : parts) Place(part, *box, full, &covered);
  if (std::find(covered.begin(), covered.end(), false) != covered.end()) {
    Corrupt(name, entry, "its slices overlap");
  }
  return full;
}

// A dtype that has no Tensor: the bytes must be there and match their checksum.
void BundleReader::VerifyForeign(const std::string& name, const Entry& entry) const {
  const ReadableFile& file = Data(entry.shard);
  if (entry.offset > file.size() || entry.size > file.size() - entry.offset) {
    Corrupt(name, entry, "it ends before the bytes of a tensor");
  }
  // A variant's checksum covers its parsed form, not its bytes.
  if (entry.dtype == proto::DT_VARIANT) return;
  std::string chunk(std::min<int64_t>(entry.size, 1 << 20), '\0');
  uint32_t crc = 0;
  for (int64_t done = 0; done < entry.size;) {
    const size_t n = std::min<int64_t>(chunk.size(), entry.size - done);
    ReadExactly(file, entry.offset + done, n, chunk.data());
    crc = ExtendCrc32c(crc, chunk.data(), n);
    done += static_cast<int64_t>(n);
  }
  if (MaskCrc(crc) != entry.crc) Corrupt(name, entry, "a checksum does not match");
}

void BundleReader::VerifyAll() const {
  for (const auto& [name, entry] : entries_) {
    if (!entry.slices.empty()) {
      if (Known(entry.dtype)) ReadSliced(name, entry);
    } else if (Known(entry.dtype)) {
      ReadEntry(name, entry);
    } else {
      VerifyForeign(name, entry);
    }
  }
}

}  // namespace tributary

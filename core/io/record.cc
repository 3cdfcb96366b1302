#include "core/io/record.h"

#include "core/base/errors.h"
#include "core/io/coding.h"
#include "core/io/crc32c.h"

namespace tributary {
namespace {

constexpr size_t kHeader = 12;
constexpr size_t kFooter = 4;
constexpr size_t kReadAhead = 256 << 10;

}  // namespace

void AppendRecord(std::string* out, std::string_view data) {
  const size_t start = out->size();
  PutFixed64(out, data.size());
  PutFixed32(out, MaskCrc(Crc32c({out->data() + start, 8})));
  out->append(data);
  PutFixed32(out, MaskCrc(Crc32c(data)));
}

RecordReader::RecordReader(const ReadableFile* file, int64_t max_bytes)
    : file_(file), max_bytes_(max_bytes) {}

bool RecordReader::Fetch(int64_t offset, size_t count, char* out) {
  const auto buffered = static_cast<int64_t>(buffer_.size());
  if (offset < buffer_start_ ||
      offset + static_cast<int64_t>(count) > buffer_start_ + buffered) {
    if (count > kReadAhead) return file_->Read(offset, count, out) == count;
    buffer_.resize(kReadAhead);
    buffer_start_ = offset;
    buffer_.resize(file_->Read(offset, kReadAhead, buffer_.data()));
    if (buffer_.size() < count) return false;
  }
  std::memcpy(out, buffer_.data() + (offset - buffer_start_), count);
  return true;
}

RecordRead RecordReader::Read(std::string* record) {
  char header[kHeader];
  if (!Fetch(offset_, kHeader, header)) {
    char byte;
    return Fetch(offset_, 1, &byte) ? RecordRead::kTorn : RecordRead::kEnd;
  }
  if (UnmaskCrc(GetFixed32(header + 8)) != Crc32c({header, 8})) {
    throw DataLossError("[record] {} is corrupt; the checksum of a length does not match; at "
                        "offset {}",
                        file_->path(), offset_);
  }
  const uint64_t length = GetFixed64(header);
  if (length > static_cast<uint64_t>(max_bytes_)) {
    throw DataLossError("[record] {} is corrupt; expected a record of at most {} bytes, got {}; "
                        "at offset {}",
                        file_->path(), max_bytes_, length, offset_);
  }
  // Against a file that still grows, but before any memory is taken.
  const int64_t data_at = offset_ + static_cast<int64_t>(kHeader);
  const auto needed = static_cast<int64_t>(length + kFooter);
  if (data_at + needed > file_->size()) {
    char last;
    if (!Fetch(data_at + needed - 1, 1, &last)) return RecordRead::kTorn;
  }
  record->resize(length);
  char footer[kFooter];
  if (!Fetch(data_at, length, record->data()) ||
      !Fetch(data_at + static_cast<int64_t>(length), kFooter, footer)) {
    return RecordRead::kTorn;
  }
  if (UnmaskCrc(GetFixed32(footer)) != Crc32c(*record)) {
    throw DataLossError("[record] {} is corrupt; the checksum of {} bytes does not match; at "
                        "offset {}",
                        file_->path(), length, offset_);
  }
  offset_ = data_at + needed;
  return RecordRead::kRecord;
}

}  // namespace tributary

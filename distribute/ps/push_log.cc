#include "distribute/ps/push_log.h"

#include <cstring>

#include "core/base/errors.h"
#include "core/io/crc32c.h"
#include "distribute/transport/transport.h"

namespace tributary::ps {
namespace {

struct SegmentHeader {
  char magic[8] = {'T', 'R', 'B', 'P', 'S', 'L', 'O', 'G'};
  uint32_t version = 1;
  uint32_t shard = 0, shards = 0;
  uint32_t reserved = 0;
  uint64_t segment = 0;
  uint64_t zero[3] = {};
  uint32_t unused = 0;
  uint32_t crc = 0;
};
static_assert(sizeof(SegmentHeader) == 64);

uint32_t CrcOf(const SegmentHeader& h) {
  return ExtendCrc32c(0, &h, offsetof(SegmentHeader, crc));
}

std::string_view Chars(const void* data, size_t size) {
  return {static_cast<const char*>(data), size};
}

size_t Padding(uint64_t bytes) { return (8 - bytes % 8) % 8; }

}  // namespace

std::string LogSegmentName(const LogPlace& p, uint64_t segment) {
  return JoinPath(p.dir, fmt::format("ps-{:05d}-of-{:05d}.log-{:010d}", p.shard, p.shards, segment));
}

std::vector<uint64_t> LogSegments(Env* env, const LogPlace& p) {
  std::vector<uint64_t> segments;
  const std::string start = fmt::format("ps-{:05d}-of-{:05d}.log-", p.shard, p.shards);
  if (!env->Exists(p.dir)) return segments;
  for (const std::string& name : env->List(p.dir)) {
    if (!name.starts_with(start) || name.size() != start.size() + 10) continue;
    const std::string digits = name.substr(start.size());
    if (digits.find_first_not_of("0123456789") != std::string::npos) continue;
    segments.push_back(std::stoull(digits));
  }
  return segments;
}

PushLogWriter::PushLogWriter(Env* env, const LogPlace& place, uint64_t segment, bool sync)
    : segment_(segment), sync_(sync) {
  file_ = env->OpenWritable(LogSegmentName(place, segment), OpenMode::kCreate);
  SegmentHeader header;
  header.shard = static_cast<uint32_t>(place.shard);
  header.shards = static_cast<uint32_t>(place.shards);
  header.segment = segment;
  header.crc = CrcOf(header);
  file_->Append(Chars(&header, sizeof(header)));
  file_->Flush();
  if (sync_) {
    file_->Sync();
    env->SyncDir(place.dir);
  }
  bytes_ = sizeof(header);
}

void PushLogWriter::Append(FrameHeader header, ConstBytes control,
                           std::span<const ConstBytes> payload) {
  if (broken_) throw DataLossError("[ps log] an earlier record could not be written");
  if (!(header.flags & kFrameHasBodyCrc)) {
    header.crc = BodyCrc(control, payload);
    header.flags |= kFrameHasBodyCrc;
  }
  header.control_bytes = static_cast<uint32_t>(control.size());
  header.payload_bytes = TotalBytes(payload);
  std::byte encoded[kFrameHeaderBytes];
  EncodeHeader(header, encoded);
  const char zeros[8] = {};
  const size_t padding = Padding(control.size() + header.payload_bytes);
  broken_ = true;
  file_->Append(Chars(encoded, sizeof(encoded)));
  file_->Append(Chars(control.data(), control.size()));
  for (const ConstBytes part : payload) file_->Append(Chars(part.data(), part.size()));
  file_->Append(Chars(zeros, padding));
  if (sync_) {
    file_->Sync();
  } else {
    file_->Flush();
  }
  broken_ = false;
  bytes_ += sizeof(encoded) + control.size() + header.payload_bytes + padding;
}

PushLogReader::PushLogReader(Env* env, const LogPlace& place, uint64_t segment)
    : file_(env->OpenReadable(LogSegmentName(place, segment))) {
  SegmentHeader header;
  if (file_->size() < static_cast<int64_t>(sizeof(header))) {
    torn_ = true;  // the process died before the first record
    offset_ = file_->size();
    return;
  }
  ReadExactly(*file_, 0, sizeof(header), &header);
  const SegmentHeader fresh;
  if (std::memcmp(header.magic, fresh.magic, 8) != 0 || header.crc != CrcOf(header) ||
      header.version != fresh.version || header.shard != static_cast<uint32_t>(place.shard) ||
      header.shards != static_cast<uint32_t>(place.shards) || header.segment != segment) {
    throw DataLossError("[ps log] {} is not segment {} of shard {} of {}", file_->path(), segment,
                        place.shard, place.shards);
  }
  offset_ = sizeof(header);
}

bool PushLogReader::Read(LogRecord* record) {
  const int64_t left = file_->size() - offset_;
  if (left <= 0 || torn_) return false;
  if (left < static_cast<int64_t>(kFrameHeaderBytes)) {
    torn_ = true;
    return false;
  }
  std::byte encoded[kFrameHeaderBytes];
  ReadExactly(*file_, offset_, sizeof(encoded), encoded);
  const std::string where = fmt::format("{} at offset {}", file_->path(), offset_);
  const FrameLimits limits{.control_bytes = 1u << 30, .payload_bytes = 1ull << 40};
  record->header = DecodeHeader(encoded, limits, where);
  const FrameHeader& h = record->header;
  const uint64_t body = uint64_t{h.control_bytes} + h.payload_bytes;
  const uint64_t all = kFrameHeaderBytes + body + Padding(body);
  if (all > static_cast<uint64_t>(left)) {
    torn_ = true;
    return false;
  }
  // The payload is aligned, wherever the control part ends.
  const uint64_t payload_at = (h.control_bytes + 7u) / 8 * 8;
  buffer_.resize((payload_at + h.payload_bytes) / 8 + 1);
  auto* bytes = reinterpret_cast<std::byte*>(buffer_.data());
  const int64_t control_offset = offset_ + static_cast<int64_t>(kFrameHeaderBytes);
  ReadExactly(*file_, control_offset, h.control_bytes, bytes);
  ReadExactly(*file_, control_offset + h.control_bytes, h.payload_bytes, bytes + payload_at);
  record->control = {bytes, h.control_bytes};
  record->payload = {bytes + payload_at, h.payload_bytes};
  CheckBodyCrc(h, ExtendBodyCrc(ExtendBodyCrc(0, record->control), record->payload), where);
  offset_ += static_cast<int64_t>(all);
  return true;
}

}  // namespace tributary::ps

#pragma once
// The log of a server: every frame that changed it, as it came from the wire, in the
// order in which it was accepted. Nothing here knows a server: replication, incremental
// checkpoints and delta export read the same files.
//
//   segment  "<dir>/ps-00002-of-00004.log-0000000017"
//            64 bytes: "TRBPSLOG", version, shard, shards, segment, checksum
//   record   frame header (64 bytes, its flags say kFrameHasBodyCrc) | control | payload |
//            zeros up to a multiple of 8
//
// A segment begins at each checkpoint and base and after each restart. Its end may be torn where
// the process died while it wrote: what is torn was never acknowledged.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/io/env.h"
#include "distribute/transport/frame.h"

namespace tributary::ps {

// Beyond the transport's flags: the frame had been accepted before the segment began,
// its step was not complete then.
inline constexpr uint32_t kLogPending = kFirstUserFlag << 8;

struct LogPlace {
  std::string dir;
  int shard = 0, shards = 1;
};
std::string LogSegmentName(const LogPlace& place, uint64_t segment);
// Numbers of the segments that there are, rising.
std::vector<uint64_t> LogSegments(Env* env, const LogPlace& place);

class PushLogWriter {
 public:
  // `sync`: each Append waits until it is on the device.
  PushLogWriter(Env* env, const LogPlace& place, uint64_t segment, bool sync);

  // After it returned, the record survives the death of this process. Throws what the
  // file system throws; the log is then at its end (see broken). The payload's parts go
  // one after another.
  void Append(FrameHeader header, ConstBytes control, std::span<const ConstBytes> payload);
  void Append(const FrameHeader& header, ConstBytes control, ConstBytes payload) {
    Append(header, control, {&payload, 1});
  }
  uint64_t segment() const { return segment_; }
  uint64_t bytes() const { return bytes_; }
  // A failed write may have left half a record: only a new segment goes on.
  bool broken() const { return broken_; }

 private:
  std::unique_ptr<WritableFile> file_;
  uint64_t segment_;
  bool sync_, broken_ = false;
  uint64_t bytes_ = 0;
};

struct LogRecord {
  FrameHeader header;
  std::span<const std::byte> control, payload;  // valid until the next Read; aligned to 8
};

class PushLogReader {
 public:
  // Throws DataLossError when this is no segment of `place`.
  PushLogReader(Env* env, const LogPlace& place, uint64_t segment);
  // False at the end, also a torn one (see torn). Throws DataLossError for damage
  // elsewhere, naming file and offset.
  bool Read(LogRecord* record);
  bool torn() const { return torn_; }
  int64_t offset() const { return offset_; }

 private:
  std::unique_ptr<ReadableFile> file_;
  std::vector<uint64_t> buffer_;
  int64_t offset_ = 0;
  bool torn_ = false;
};

}  // namespace tributary::ps

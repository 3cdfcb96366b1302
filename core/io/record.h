#pragma once
// TFRecord framing (xla/tsl/lib/io/record_writer.h), uncompressed:
//   length (8) | masked crc of the length (4) | data | masked crc of data (4)

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/io/env.h"

namespace tributary {

// Appends one framed record to `out`.
void AppendRecord(std::string* out, std::string_view data);

enum class RecordRead {
  kRecord,  // a record was read
  kEnd,     // the file ended between two records
  kTorn,    // it ended inside one: a writer died, or is still writing
};

// Reads records in order, through a buffer. One thread at a time.
class RecordReader {
 public:
  // `file` must outlive the reader. Records above `max_bytes` are refused.
  explicit RecordReader(const ReadableFile* file, int64_t max_bytes = int64_t{1} << 30);

  // Throws DataLossError with file and offset when a checksum does not match or
  // a length is absurd.
  RecordRead Read(std::string* record);
  // Where the next record starts.
  int64_t offset() const { return offset_; }

 private:
  // False when the file ends before `count` bytes are there.
  bool Fetch(int64_t offset, size_t count, char* out);

  const ReadableFile* file_;
  int64_t max_bytes_;
  int64_t offset_ = 0;
  std::string buffer_;
  int64_t buffer_start_ = 0;
};

}  // namespace tributary

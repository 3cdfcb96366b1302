#pragma once
// Reads a file from front to back: plain, gzip (told apart by its first bytes; several
// gzip members are read as one), or zlib where that is said.

#include <memory>
#include <string>
#include <vector>

#include "core/io/env.h"

namespace tributary::data {

class ByteReader {
 public:
  enum class Compression { kAuto, kNone, kGzip, kZlib };

  // Throws NotFoundError and the like.
  ByteReader(Env* env, const std::string& path, Compression compression = Compression::kAuto);
  ~ByteReader();
  ByteReader(const ByteReader&) = delete;

  // Up to `count` bytes; fewer only at the end. Throws DataLossError naming file
  // and offset for a corrupt or truncated gzip or zlib stream.
  size_t Read(void* out, size_t count);
  // Throws DataLossError naming file, offset and `what` when the file ends before.
  void ReadExactly(void* out, size_t count, const char* what);
  // Everything that is left. Throws ResourceExhaustedError beyond `max_bytes`.
  std::string ReadRest(int64_t max_bytes);
  // Reads what is left of a compressed stream, whose checksum comes last: throws
  // DataLossError when it is corrupt.
  void CheckRest();
  // Bytes read, counted after decompression.
  int64_t offset() const { return offset_; }
  // At most so many bytes can follow (a compressed byte yields 1032 at most): a
  // header that promises more is wrong, before anything is allocated.
  int64_t MaxBytesLeft() const;
  const std::string& path() const { return file_->path(); }
  bool compressed() const { return inflate_ != nullptr; }

 private:
  struct Inflate;
  size_t ReadRaw(void* out, size_t count);
  size_t ReadInflated(void* out, size_t count);  // counts offset_
  [[noreturn]] void Corrupt(const std::string& why) const;

  std::unique_ptr<ReadableFile> file_;
  std::unique_ptr<Inflate> inflate_;
  int64_t raw_offset_ = 0;
  int64_t offset_ = 0;
};

}  // namespace tributary::data

#include "trainer/data/byte_reader.h"

#include <zlib.h>

#include <cstring>

#include "core/base/errors.h"

namespace tributary::data {
namespace {

constexpr size_t kChunk = 64 << 10;
constexpr int64_t kMaxInflation = 1032;

}  // namespace

struct ByteReader::Inflate {
  explicit Inflate(bool gzip) {
    std::memset(&stream, 0, sizeof(stream));
    if (inflateInit2(&stream, gzip ? 15 + 16 : 15) != Z_OK) {
      throw ResourceExhaustedError("[data] zlib could not start");
    }
  }
  ~Inflate() { inflateEnd(&stream); }

  z_stream stream;
  bool in_member = false;  // between the first byte of a member and its trailer
  bool done = false;
  std::vector<unsigned char> buffer = std::vector<unsigned char>(kChunk);
};

ByteReader::ByteReader(Env* env, const std::string& path, Compression compression)
    : file_(env->OpenReadable(path)) {
  unsigned char magic[2] = {0, 0};
  if (compression == Compression::kAuto) {
    const bool gzip = file_->Read(0, 2, magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    compression = gzip ? Compression::kGzip : Compression::kNone;
  }
  if (compression != Compression::kNone) {
    inflate_ = std::make_unique<Inflate>(compression == Compression::kGzip);
  }
}

ByteReader::~ByteReader() = default;

void ByteReader::Corrupt(const std::string& why) const {
  throw DataLossError("[data] {}: the compressed stream is corrupt: {}; at byte {} of the file (byte {} "
                      "decompressed); get the file again",
                      path(), why, raw_offset_ - inflate_->stream.avail_in, offset_);
}

size_t ByteReader::ReadRaw(void* out, size_t count) {
  const size_t got = file_->Read(raw_offset_, count, out);
  raw_offset_ += static_cast<int64_t>(got);
  return got;
}

size_t ByteReader::ReadInflated(void* out, size_t count) {
  Inflate& state = *inflate_;
  z_stream& z = state.stream;
  size_t produced = 0;
  while (produced < count && !state.done) {
    if (z.avail_in == 0) {
      z.next_in = state.buffer.data();
      z.avail_in = static_cast<uInt>(ReadRaw(state.buffer.data(), kChunk));
      if (z.avail_in == 0) {
        if (state.in_member) Corrupt("unexpected end");
        state.done = true;
        break;
      }
    }
    state.in_member = true;
    const size_t want = std::min<size_t>(count - produced, 1u << 30);
    z.next_out = static_cast<Bytef*>(out) + produced;
    z.avail_out = static_cast<uInt>(want);
    const int result = inflate(&z, Z_NO_FLUSH);
    produced += want - z.avail_out;
    offset_ += static_cast<int64_t>(want - z.avail_out);
    if (result == Z_STREAM_END) {
      state.in_member = false;
      inflateReset(&z);
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      Corrupt(z.msg ? z.msg : "unknown error");
    }
  }
  return produced;
}

size_t ByteReader::Read(void* out, size_t count) {
  if (inflate_) return ReadInflated(out, count);
  const size_t got = ReadRaw(out, count);
  offset_ += static_cast<int64_t>(got);
  return got;
}

void ByteReader::CheckRest() {
  std::vector<char> ignored(kChunk);
  while (inflate_ && Read(ignored.data(), kChunk) > 0) {}
}

void ByteReader::ReadExactly(void* out, size_t count, const char* what) {
  const int64_t start = offset_;
  const size_t got = Read(out, count);
  if (got < count) {
    throw DataLossError("[data] {} is truncated: {} needs {} bytes at byte {}, but the file ends "
                        "at byte {}{}; get the file again",
                        path(), what, count, start, offset_,
                        compressed() ? " (decompressed)" : "");
  }
}

std::string ByteReader::ReadRest(int64_t max_bytes) {
  std::string text;
  for (;;) {
    const size_t old = text.size();
    text.resize(old + kChunk);
    const size_t got = Read(text.data() + old, kChunk);
    text.resize(old + got);
    if (static_cast<int64_t>(text.size()) > max_bytes) {
      throw ResourceExhaustedError("[data] {} holds more than {} bytes", path(), max_bytes);
    }
    if (got < kChunk) return text;
  }
}

int64_t ByteReader::MaxBytesLeft() const {
  const int64_t raw = file_->size() - raw_offset_;
  if (!inflate_) return raw;
  return (raw + static_cast<int64_t>(inflate_->stream.avail_in) + kChunk) * kMaxInflation;
}

}  // namespace tributary::data

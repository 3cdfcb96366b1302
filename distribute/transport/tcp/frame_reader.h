#pragma once
// Takes frames out of a byte stream, as far as bytes are there. Small frames come
// from a buffer that one read fills with many; the bytes of large ones go straight
// to where they belong. Checksums are computed piece by piece, while the bytes are
// in the cache.

#include <memory>
#include <string>
#include <vector>

#include "distribute/transport/frame.h"
#include "distribute/transport/tcp/byte_stream.h"

namespace tributary {

// Says where the bytes of a frame go, once its header is known (and checked).
class FramePlacer {
 public:
  // Adds pieces for control_bytes + payload_bytes in all. They stay valid until the
  // frame is whole or the reader is gone.
  virtual void Place(const FrameHeader& header, std::vector<MutableBytes>* pieces) = 0;

 protected:
  ~FramePlacer() = default;
};

class FrameReader {
 public:
  static constexpr size_t kBuffer = 64 << 10;

  // `peer` names the sender in errors.
  FrameReader(FrameLimits limits, std::string peer, size_t buffer_bytes = kBuffer);

  // True: a frame is whole; header() is its. False: nothing more is there for now.
  // Throws as ByteStream::Read, DecodeHeader and CheckBodyCrc do; then the connection
  // is of no more use.
  bool Next(ByteStream& stream, FramePlacer& placer);

  // The rest of the frame that is being read goes nowhere: its pieces may vanish.
  void DiscardRest();
  bool in_body() const { return in_body_; }
  // Adds pieces that swallow `bytes`.
  static void AddDiscarded(uint64_t bytes, std::vector<MutableBytes>* pieces);

  const FrameHeader& header() const { return header_; }
  // No byte of another frame has come yet.
  bool empty() const { return begin_ == end_ && !in_body_; }
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  bool Fill(ByteStream& stream);
  void TakeBuffered();
  bool ReadStraight(ByteStream& stream);
  void Advance(size_t count);

  const FrameLimits limits_;
  const std::string peer_;
  const size_t buffer_bytes_;
  const std::unique_ptr<std::byte[]> buffer_;
  size_t begin_ = 0, end_ = 0;
  FrameHeader header_;
  bool in_body_ = false;
  uint32_t crc_ = 0;
  uint64_t left_ = 0;  // of the body
  std::vector<MutableBytes> pieces_;
  size_t piece_ = 0;  // the first that is not full; its front is cut as it fills
  std::vector<iovec> iov_;
  uint64_t bytes_read_ = 0;
};

}  // namespace tributary

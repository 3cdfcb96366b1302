#include "distribute/transport/tcp/frame_reader.h"

#include <algorithm>
#include <cstring>

namespace tributary {
namespace {

// A read of this size is still in the second-level cache when it is checksummed.
constexpr size_t kStraightRead = 256 << 10;
constexpr size_t kMaxPieces = 64;
constexpr size_t kSwallow = 64 << 10;

// Written by every thread that discards and read by none.
thread_local std::byte swallowed[kSwallow];

bool Overlap(MutableBytes a, MutableBytes b) {
  return a.data() < b.data() + b.size() && b.data() < a.data() + a.size();
}

}  // namespace

FrameReader::FrameReader(FrameLimits limits, std::string peer, size_t buffer_bytes)
    : limits_(limits),
      peer_(std::move(peer)),
      buffer_bytes_(buffer_bytes),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(buffer_bytes)) {}

bool FrameReader::Next(ByteStream& stream, FramePlacer& placer) {
  while (!in_body_) {
    if (end_ - begin_ < kFrameHeaderBytes) {
      if (!Fill(stream)) return false;
      continue;
    }
    header_ = DecodeHeader(
        std::span<const std::byte, kFrameHeaderBytes>(&buffer_[begin_], kFrameHeaderBytes),
        limits_, peer_);
    begin_ += kFrameHeaderBytes;
    pieces_.clear();
    placer.Place(header_, &pieces_);
    left_ = header_.control_bytes + header_.payload_bytes;
    TRB_CHECK(TotalBytes(std::span<const MutableBytes>(pieces_)) == left_);
    piece_ = 0;
    crc_ = 0;
    in_body_ = true;
  }
  while (true) {
    TakeBuffered();
    if (left_ == 0) break;
    if (!(left_ >= buffer_bytes_ / 2 ? ReadStraight(stream) : Fill(stream))) return false;
  }
  in_body_ = false;
  CheckBodyCrc(header_, crc_, peer_);
  return true;
}

void FrameReader::AddDiscarded(uint64_t bytes, std::vector<MutableBytes>* pieces) {
  for (; bytes > 0; bytes -= pieces->back().size()) {
    pieces->push_back(MutableBytes(swallowed).first(std::min<uint64_t>(bytes, kSwallow)));
  }
}

void FrameReader::DiscardRest() {
  if (!in_body_) return;
  pieces_.clear();
  piece_ = 0;
  AddDiscarded(left_, &pieces_);
}

// Reads more into the buffer.
bool FrameReader::Fill(ByteStream& stream) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (buffer_bytes_ - end_ < kFrameHeaderBytes) {
    std::memmove(&buffer_[0], &buffer_[begin_], end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (stream.drained()) return false;
  const iovec room{&buffer_[end_], buffer_bytes_ - end_};
  const size_t got = stream.Read({&room, 1});
  end_ += got;
  bytes_read_ += got;
  return got > 0;
}

void FrameReader::TakeBuffered() {
  while (left_ > 0 && begin_ < end_) {
    MutableBytes& piece = pieces_[piece_];
    const size_t count = std::min(piece.size(), end_ - begin_);
    if (count > 0) std::memcpy(piece.data(), &buffer_[begin_], count);
    begin_ += count;
    Advance(count);
  }
}

// Reads into the pieces, the buffer behind the last one.
bool FrameReader::ReadStraight(ByteStream& stream) {
  if (stream.drained()) return false;
  begin_ = end_ = 0;  // the buffer is empty: TakeBuffered came first
  iov_.clear();
  size_t room = 0;
  for (size_t i = piece_; i < pieces_.size() && room < kStraightRead && iov_.size() < kMaxPieces;
       ++i) {
    // Discarded pieces share memory: one read must not write it twice before it is checksummed.
    if (i > piece_ && Overlap(pieces_[i], pieces_[i - 1])) break;
    const size_t count = std::min(pieces_[i].size(), kStraightRead - room);
    iov_.push_back({pieces_[i].data(), count});
    room += count;
  }
  if (room == left_) iov_.push_back({&buffer_[0], buffer_bytes_});
  const size_t got = stream.Read(iov_);
  bytes_read_ += got;
  size_t in_pieces = std::min(got, room);
  end_ = got - in_pieces;
  while (in_pieces > 0) {
    const size_t count = std::min(pieces_[piece_].size(), in_pieces);
    Advance(count);
    in_pieces -= count;
  }
  return got > 0;
}

// `count` bytes of the current piece are there.
void FrameReader::Advance(size_t count) {
  MutableBytes& piece = pieces_[piece_];
  if (header_.flags & kFrameHasBodyCrc) crc_ = ExtendBodyCrc(crc_, piece.first(count));
  piece = piece.subspan(count);
  left_ -= count;
  if (piece.empty()) ++piece_;
}

}  // namespace tributary

#include "distribute/transport/tcp/frame_writer.h"

#include <algorithm>

namespace tributary {
namespace {

constexpr size_t kPiecesAtOnce = 256;

}  // namespace

bool FrameWriter::Flush(ByteStream& stream) {
  while (!empty()) {
    const size_t count = std::min(queue_.size() - next_, kPiecesAtOnce);
    size_t sent = stream.Write(std::span(&queue_[next_], count));
    if (sent == 0) return false;
    bytes_written_ += sent;
    while (sent > 0) {
      iovec& piece = queue_[next_];
      const size_t part = std::min(sent, piece.iov_len);
      piece.iov_base = static_cast<std::byte*>(piece.iov_base) + part;
      piece.iov_len -= part;
      sent -= part;
      if (piece.iov_len == 0) ++next_;
    }
  }
  queue_.clear();
  next_ = 0;
  return true;
}

void FrameWriter::KeepCopy() {
  std::vector<std::byte> rest;
  for (; !empty(); ++next_) {
    const auto* bytes = static_cast<const std::byte*>(queue_[next_].iov_base);
    rest.insert(rest.end(), bytes, bytes + queue_[next_].iov_len);
  }
  copy_ = std::move(rest);  // the former copy may be among what was not sent
  queue_.clear();
  next_ = 0;
  Add(copy_);
}

}  // namespace tributary

#pragma once
// Frames on their way into a byte stream, sent from where their bytes lie.

#include <vector>

#include "distribute/transport/frame.h"
#include "distribute/transport/tcp/byte_stream.h"

namespace tributary {

class FrameWriter {
 public:
  // Queues bytes; they must stay valid until they are sent.
  void Add(ConstBytes bytes) {
    if (!bytes.empty()) queue_.push_back({const_cast<std::byte*>(bytes.data()), bytes.size()});
  }
  // Sends what can be sent. True: nothing is left. Throws ConnectionClosed.
  bool Flush(ByteStream& stream);
  // Copies what is not sent yet: its bytes may vanish.
  void KeepCopy();
  bool empty() const { return next_ == queue_.size(); }
  uint64_t bytes_written() const { return bytes_written_; }

 private:
  std::vector<iovec> queue_;
  size_t next_ = 0;  // the first that is not all sent; its front is cut
  std::vector<std::byte> copy_;
  uint64_t bytes_written_ = 0;
};

}  // namespace tributary

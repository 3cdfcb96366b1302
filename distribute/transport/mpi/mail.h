#pragma once
// Frames as MPI messages. A frame is a head (envelope, header, control and, if it is
// small, the payload) and, if it is large, a body (the payload) that follows on a tag
// of its channel. For the .cc files of this folder.

#include "distribute/comm/mpi/mpi_c.h"

#include <memory>
#include <string>
#include <vector>

#include "distribute/transport/byte_buffer.h"
#include "distribute/transport/transport.h"

namespace tributary {

// The communicator of the transport. Throws FailedPreconditionError before
// InitMpiTransport.
MPI_Comm MailComm();
// Throws UnavailableError with MPI's own words.
void RequireMpi(int code, const char* call);

struct MpiAddress {
  int rank = 0, shard = 0;
  // Throws InvalidArgumentError.
  static MpiAddress Parse(const std::string& address);
  std::string ToString() const;
  int head_tag() const { return 1 + shard; }
  static constexpr int kShards = 256;
};
// Channels are numbered in each process; their replies and bodies have tags of their own.
inline constexpr int kMaxChannels = 8192;
inline int ReplyTag(uint32_t channel) { return 1024 + static_cast<int>(channel); }
inline int BodyTag(uint32_t channel) { return 1024 + kMaxChannels + static_cast<int>(channel); }

struct Envelope {
  uint32_t channel = 0;
  uint32_t has_body = 0;
};
inline constexpr size_t kHeadBytes = sizeof(Envelope) + kFrameHeaderBytes;
inline constexpr size_t kInlinePayload = 8 << 10;
inline constexpr uint64_t kMaxMessage = 0x7fffffff - kHeadBytes;

// Messages on their way out. One thread at a time.
class Outbox {
 public:
  Outbox() = default;
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  // What is still under way then is left to MPI; its memory is not given back.
  ~Outbox();

  struct Route {
    int rank, head_tag, body_tag;
    uint32_t channel;
  };
  // Copies a frame and starts to send it.
  void Send(const Route& route, FrameHeader header, ConstBytes control,
            std::span<const ConstBytes> payload, bool checksums);
  // Recycles what has been sent. True: nothing is under way.
  bool Reap();

 private:
  struct Letter {
    std::vector<std::byte> head;
    ByteBuffer body;
    MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
  };
  std::vector<std::unique_ptr<Letter>> under_way_, free_;
};

// A head that has come.
struct Head {
  int source = 0;
  Envelope envelope;
  FrameHeader header;
  ConstBytes control, inline_payload;  // in `memory`
  std::vector<std::byte> memory;
};
// Takes a head of `tag` from `source` (or MPI_ANY_SOURCE), if one is there. Throws as
// DecodeHeader does; the message is consumed then.
bool TakeHead(int source, int tag, const FrameLimits& limits, Head* head);

// Spins, then yields, then sleeps for a moment: a loop that finds nothing must not
// keep a core from those that compute.
class Patience {
 public:
  void Found() { idle_ = 0; }
  void FoundNothing();

 private:
  int idle_ = 0;
};

}  // namespace tributary

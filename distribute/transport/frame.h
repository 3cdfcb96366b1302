#pragma once
// Frames: what travels between a worker and a parameter server, over any carrier.
//
//   header (64 bytes, little-endian) | control (control_bytes) | payload (payload_bytes)
//
// `control` is a small message of its own, `payload` the raw bytes of tensors. The
// header carries a checksum of itself, so that no length is believed (and nothing
// is allocated for it) before it is checked, and one of control and payload where
// nothing else protects them (see kFrameHasBodyCrc).

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string_view>
#include <vector>

namespace tributary {

using ConstBytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline constexpr uint32_t kFrameMagic = 0x31425254;  // "TRB1"
inline constexpr uint16_t kFrameVersion = 1;
inline constexpr size_t kFrameHeaderBytes = 64;

// Kinds from here on belong to the transport; those below to its users.
inline constexpr uint16_t kFirstTransportKind = 0xff00;
inline constexpr uint16_t kReplyKind = 0xff00;
inline constexpr uint16_t kErrorKind = 0xff01;      // control: EncodeError
inline constexpr uint16_t kHelloKind = 0xff02;      // control: hello.h
inline constexpr uint16_t kHeartbeatKind = 0xff03;  // sequence: progress; request_id: busy ms
inline constexpr uint16_t kGoodbyeKind = 0xff04;    // the sender goes and means to

// Bits of FrameHeader::flags. The low 16 are the transport's, the others its users'.
inline constexpr uint32_t kFrameHasBodyCrc = 1u << 0;
inline constexpr uint32_t kFirstUserFlag = 1u << 16;

struct FrameHeader {
  uint32_t magic = kFrameMagic;
  uint16_t version = kFrameVersion;
  uint16_t kind = 0;
  uint32_t table = 0;
  uint32_t worker = 0;
  uint64_t request_id = 0;  // a reply carries that of its request
  uint64_t generation = 0;
  uint64_t sequence = 0;
  uint32_t control_bytes = 0;
  uint32_t crc = 0;  // CRC32C of control and payload, if kFrameHasBodyCrc
  uint64_t payload_bytes = 0;
  uint32_t flags = 0;
  uint32_t header_crc = 0;  // CRC32C of the 60 bytes before it

  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};
static_assert(sizeof(FrameHeader) == kFrameHeaderBytes);

// What a receiver takes; checked before anything is allocated.
struct FrameLimits {
  uint32_t control_bytes = 1u << 20;
  uint64_t payload_bytes = 1ull << 30;
};

// Writes `header` with its checksum.
void EncodeHeader(const FrameHeader& header, std::byte* out /* kFrameHeaderBytes */);

// Reads a header. Throws DataLossError on a wrong magic number or checksum,
// FailedPreconditionError on another protocol version (naming both),
// InvalidArgumentError on lengths above `limits`. `peer` names the sender in them.
FrameHeader DecodeHeader(std::span<const std::byte, kFrameHeaderBytes> bytes,
                         const FrameLimits& limits, std::string_view peer);

// The checksum of what was already covered by `crc`, followed by `bytes`.
uint32_t ExtendBodyCrc(uint32_t crc, ConstBytes bytes);
uint32_t BodyCrc(ConstBytes control,
                 std::span<const ConstBytes> payload);
// Throws DataLossError naming `peer` when the frame carries another checksum.
void CheckBodyCrc(const FrameHeader& header, uint32_t crc, std::string_view peer);

// What a request may be, checked by the sender: throws InvalidArgumentError when
// `kind` is the transport's or a length is above `limits`.
void CheckRequest(const FrameLimits& limits, uint16_t kind, uint64_t control_bytes,
                  uint64_t payload_bytes);

// The sum of the sizes of `parts`.
uint64_t TotalBytes(std::span<const ConstBytes> parts);
uint64_t TotalBytes(std::span<const MutableBytes> parts);

// The control part of a kErrorKind frame: the code, then the text (cut to 64 KiB).
// Writes to `out` (cleared first; keeps its capacity).
void EncodeError(const std::exception& error, std::vector<std::byte>* out);
// Throws the error that a peer has sent: its type, its text. Input that is no
// error becomes a DataLossError.
[[noreturn]] void ThrowRemoteError(ConstBytes control, std::string_view peer);

}  // namespace tributary

#include "distribute/transport/frame.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "core/base/errors.h"
#include "core/io/crc32c.h"

namespace tributary {
namespace {

static_assert(std::endian::native == std::endian::little, "frames are sent as they lie in memory");

constexpr size_t kChecked = offsetof(FrameHeader, header_crc);
constexpr size_t kMaxErrorText = 64 << 10;

uint32_t HeaderCrc(const std::byte* bytes) { return ExtendCrc32c(0, bytes, kChecked); }

// The code on the wire, so that an unknown one can't become a wild enum value.
Code CodeFromWire(uint32_t value) {
  return value >= 1 && value <= static_cast<uint32_t>(Code::kUnauthenticated)
             ? static_cast<Code>(value)
             : Code::kUnknown;
}

}  // namespace

void EncodeHeader(const FrameHeader& header, std::byte* out) {
  std::memcpy(out, &header, kFrameHeaderBytes);
  const uint32_t crc = HeaderCrc(out);
  std::memcpy(out + kChecked, &crc, sizeof(crc));
}

FrameHeader DecodeHeader(std::span<const std::byte, kFrameHeaderBytes> bytes,
                         const FrameLimits& limits, std::string_view peer) {
  FrameHeader header;
  std::memcpy(&header, bytes.data(), kFrameHeaderBytes);
  if (header.magic != kFrameMagic) {
    throw DataLossError("[transport] what {} sends is no frame; expected magic number {:#010x}, "
                        "got {:#010x}; is the other end a Tributary process, and do both agree "
                        "on encryption?",
                        peer, kFrameMagic, header.magic);
  }
  // Before the checksum: another version may compute it in another way.
  if (header.version != kFrameVersion) {
    throw FailedPreconditionError("[transport] {} speaks another protocol; expected version {}, "
                                  "got {}; run the same build everywhere",
                                  peer, kFrameVersion, header.version);
  }
  if (const uint32_t crc = HeaderCrc(bytes.data()); header.header_crc != crc) {
    throw DataLossError("[transport] a frame header from {} is damaged; expected checksum {:#010x}, "
                        "got {:#010x}",
                        peer, crc, header.header_crc);
  }
  if (header.control_bytes > limits.control_bytes || header.payload_bytes > limits.payload_bytes) {
    throw InvalidArgumentError("[transport] a frame of kind {} from {} is too large; expected at "
                               "most {} control and {} payload bytes, got {} and {}",
                               header.kind, peer, limits.control_bytes, limits.payload_bytes,
                               header.control_bytes, header.payload_bytes);
  }
  return header;
}

uint32_t ExtendBodyCrc(uint32_t crc, ConstBytes bytes) {
  return ExtendCrc32c(crc, bytes.data(), bytes.size());
}

uint32_t BodyCrc(ConstBytes control,
                 std::span<const ConstBytes> payload) {
  uint32_t crc = ExtendBodyCrc(0, control);
  for (const auto part : payload) crc = ExtendBodyCrc(crc, part);
  return crc;
}

void CheckBodyCrc(const FrameHeader& header, uint32_t crc, std::string_view peer) {
  if (!(header.flags & kFrameHasBodyCrc) || header.crc == crc) return;
  throw DataLossError("[transport] a frame of kind {} from {} is damaged; expected checksum "
                      "{:#010x} of its {} bytes, got {:#010x}",
                      header.kind, peer, header.crc, header.control_bytes + header.payload_bytes,
                      crc);
}

void CheckRequest(const FrameLimits& limits, uint16_t kind, uint64_t control_bytes,
                  uint64_t payload_bytes) {
  if (kind >= kFirstTransportKind) {
    throw InvalidArgumentError("[transport] a request can't be of kind {}; expected less than {}",
                               kind, kFirstTransportKind);
  }
  if (control_bytes <= limits.control_bytes && payload_bytes <= limits.payload_bytes) return;
  throw InvalidArgumentError("[transport] a request of kind {} is too large; expected at most {} "
                             "control and {} payload bytes, got {} and {}; split it",
                             kind, limits.control_bytes, limits.payload_bytes, control_bytes,
                             payload_bytes);
}

uint64_t TotalBytes(std::span<const ConstBytes> parts) {
  uint64_t total = 0;
  for (const auto part : parts) total += part.size();
  return total;
}

uint64_t TotalBytes(std::span<const MutableBytes> parts) {
  uint64_t total = 0;
  for (const auto part : parts) total += part.size();
  return total;
}

void EncodeError(const std::exception& error, std::vector<std::byte>* out) {
  const auto* typed = dynamic_cast<const Error*>(&error);
  const auto code = static_cast<uint32_t>(typed ? typed->code() : Code::kInternal);
  const std::string_view text = std::string_view(error.what()).substr(0, kMaxErrorText);
  out->resize(sizeof(code) + text.size());
  std::memcpy(out->data(), &code, sizeof(code));
  if (!text.empty()) std::memcpy(out->data() + sizeof(code), text.data(), text.size());
}

void ThrowRemoteError(ConstBytes control, std::string_view peer) {
  uint32_t code = 0;
  if (control.size() < sizeof(code)) {
    throw DataLossError("[transport] {} sent an error message of {} bytes; expected at least {}",
                        peer, control.size(), sizeof(code));
  }
  std::memcpy(&code, control.data(), sizeof(code));
  const auto text = control.subspan(sizeof(code)).first(
      std::min(control.size() - sizeof(code), kMaxErrorText));
  ThrowError(CodeFromWire(code), std::string(reinterpret_cast<const char*>(text.data()), text.size()));
}

}  // namespace tributary

#pragma once
// CRC-32C (Castagnoli), as TensorFlow's records, tables and bundles use it.
// The SSE4.2 instruction where the processor has it, tables elsewhere.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tributary {

// The checksum of a ++ b, given crc = the checksum of a.
uint32_t ExtendCrc32c(uint32_t crc, const void* data, size_t count);

inline uint32_t Crc32c(std::string_view data) {
  return ExtendCrc32c(0, data.data(), data.size());
}

// What is stored: a checksum of bytes that contain checksums is weak, so files
// hold it rotated and shifted (leveldb, util/crc32c.h).
constexpr uint32_t kCrcMaskDelta = 0xa282ead8u;
constexpr uint32_t MaskCrc(uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + kCrcMaskDelta;
}
constexpr uint32_t UnmaskCrc(uint32_t masked) {
  const uint32_t rotated = masked - kCrcMaskDelta;
  return (rotated >> 17) | (rotated << 15);
}

namespace internal {
// Runs anywhere.
uint32_t ExtendCrc32cPortable(uint32_t crc, const void* data, size_t count);
// The ways that this machine has, the fastest last: tests compare them.
using ExtendCrc32cFn = uint32_t (*)(uint32_t crc, const void* data, size_t count);
std::vector<ExtendCrc32cFn> Crc32cChoices();
}  // namespace internal

}  // namespace tributary

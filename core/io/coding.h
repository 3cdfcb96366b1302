#pragma once
// Little-endian numbers and base-128 varints in byte strings.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace tributary {

inline void PutFixed32(std::string* out, uint32_t value) {
  out->append(reinterpret_cast<const char*>(&value), 4);
}
inline void PutFixed64(std::string* out, uint64_t value) {
  out->append(reinterpret_cast<const char*>(&value), 8);
}
inline uint32_t GetFixed32(const char* bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, 4);
  return value;
}
inline uint64_t GetFixed64(const char* bytes) {
  uint64_t value;
  std::memcpy(&value, bytes, 8);
  return value;
}

inline void PutVarint(std::string* out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) *out += static_cast<char>(value | 0x80);
  *out += static_cast<char>(value);
}

// Takes a varint off the front of `in`. False when it is cut short or does not
// fit 64 bits; `in` is then unspecified.
inline bool GetVarint(std::string_view* in, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64 && !in->empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(in->front());
    in->remove_prefix(1);
    if (shift == 63 && byte > 1) return false;
    *value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// Makes every non-zero byte 1: a C++ bool may hold nothing else.
inline void NormalizeBools(void* bytes, size_t count) {
  auto* b = static_cast<uint8_t*>(bytes);
  for (size_t i = 0; i < count; ++i) b[i] = b[i] != 0;
}

}  // namespace tributary

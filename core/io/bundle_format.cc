#include "core/io/bundle_format.h"

#include <array>

namespace tributary {
namespace {

// Big-endian bytes without leading zeros, preceded by their count.
void PutOrderedNumber(std::string* out, uint64_t value) {
  std::string bytes;
  for (; value > 0; value >>= 8) bytes.insert(bytes.begin(), static_cast<char>(value & 0xff));
  *out += static_cast<char>(bytes.size());
  *out += bytes;
}

void PutOrderedString(std::string* out, const std::string& text) {
  for (const char c : text) {
    *out += c;
    if (c == '\0') *out += '\xff';
    if (c == '\xff') *out += '\0';
  }
  *out += '\0';
  *out += '\1';
}

// Two's complement in n bytes, which hold 7n - 1 bits and a sign, under a header
// of n ones.
void PutOrderedSigned(std::string* out, int64_t value) {
  int n = 1;
  while (n < 10 && 7 * n - 1 < 63 && (value < -(int64_t{1} << (7 * n - 1)) ||
                                      value >= (int64_t{1} << (7 * n - 1)))) {
    ++n;
  }
  std::array<uint8_t, 10> bytes;
  for (int i = 0; i < n; ++i) {
    const int shift = 8 * (n - 1 - i);
    bytes[i] = static_cast<uint8_t>(shift >= 64 ? value >> 63 : value >> shift);
  }
  for (int bit = 0; bit < n; ++bit) bytes[bit / 8] ^= 0x80 >> (bit % 8);
  out->append(reinterpret_cast<const char*>(bytes.data()), n);
}

}  // namespace

std::string BundleIndexName(const std::string& prefix) { return prefix + ".index"; }

std::string BundleDataName(const std::string& prefix, int shard, int num_shards) {
  return fmt::format("{}.data-{:05d}-of-{:05d}", prefix, shard, num_shards);
}

std::string EncodeSliceKey(const std::string& name, const std::vector<SliceExtent>& extents) {
  std::string key;
  PutOrderedNumber(&key, 0);
  PutOrderedString(&key, name);
  PutOrderedNumber(&key, extents.size());
  for (const SliceExtent& extent : extents) {
    PutOrderedSigned(&key, extent.start);
    PutOrderedSigned(&key, extent.length);
  }
  return key;
}

}  // namespace tributary

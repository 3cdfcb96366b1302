#include "core/io/snappy.h"

#include "core/base/errors.h"
#include "core/io/coding.h"

namespace tributary {
namespace {

// A three-byte element yields 64 bytes at most.
constexpr uint64_t kMaxRatio = 22;

[[noreturn]] void Malformed(const std::string& what) {
  throw DataLossError("[snappy] {} is not valid Snappy data", what);
}

// A little-endian number of `count` bytes off the front.
size_t TakeNumber(std::string_view* in, size_t count, const std::string& what) {
  if (in->size() < count) Malformed(what);
  size_t value = 0;
  for (size_t i = 0; i < count; ++i) {
    value |= static_cast<size_t>(static_cast<uint8_t>((*in)[i])) << (8 * i);
  }
  in->remove_prefix(count);
  return value;
}

}  // namespace

std::string SnappyDecode(std::string_view compressed, const std::string& what) {
  std::string_view in = compressed;
  uint64_t length;
  if (!GetVarint(&in, &length) || length > in.size() * kMaxRatio) Malformed(what);
  std::string out;
  out.reserve(length);
  while (!in.empty()) {
    const size_t tag = TakeNumber(&in, 1, what);
    size_t offset = 0;
    size_t count = (tag >> 2) + 1;
    switch (tag & 3) {
      case 0:
        if (count > 60) count = TakeNumber(&in, count - 60, what) + 1;
        if (count > in.size() || out.size() + count > length) Malformed(what);
        out.append(in.substr(0, count));
        in.remove_prefix(count);
        continue;
      case 1:
        count = ((tag >> 2) & 7) + 4;
        offset = ((tag >> 5) << 8) | TakeNumber(&in, 1, what);
        break;
      case 2: offset = TakeNumber(&in, 2, what); break;
      default: offset = TakeNumber(&in, 4, what); break;
    }
    if (offset == 0 || offset > out.size() || out.size() + count > length) Malformed(what);
    // Byte by byte: the copy may overlap what it writes.
    for (size_t i = 0; i < count; ++i) out += out[out.size() - offset];
  }
  if (out.size() != length) Malformed(what);
  return out;
}

}  // namespace tributary

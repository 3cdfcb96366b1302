#include "trainer/summary/png.h"

#include <zlib.h>

#include "core/base/errors.h"

namespace tributary {
namespace {

constexpr int64_t kMaxSide = 1 << 16;
constexpr int kLevel = 6;

void PutBig32(std::string* out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) *out += static_cast<char>(value >> shift);
}

void PutChunk(std::string* out, const char* type, const std::string& data) {
  PutBig32(out, static_cast<uint32_t>(data.size()));
  const size_t start = out->size();
  *out += type;
  *out += data;
  PutBig32(out, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(out->data() + start),
                                            static_cast<uInt>(out->size() - start))));
}

}  // namespace

std::string EncodePng(const uint8_t* pixels, int64_t height, int64_t width, int channels) {
  constexpr char kColorTypes[] = {0, 4, 2, 6};
  if (channels < 1 || channels > 4 || height < 1 || width < 1 || height > kMaxSide ||
      width > kMaxSide) {
    throw InvalidArgumentError("[png] expected 1 to 4 channels and sides of 1 to {}, got "
                               "{}x{}x{}",
                               kMaxSide, height, width, channels);
  }
  // Every row is preceded by its filter, 0: none.
  const size_t row = static_cast<size_t>(width) * channels;
  std::string raw;
  raw.reserve((row + 1) * height);
  for (int64_t y = 0; y < height; ++y) {
    raw += '\0';
    raw.append(reinterpret_cast<const char*>(pixels) + y * row, row);
  }
  uLongf size = compressBound(raw.size());
  std::string packed(size, '\0');
  const int result = compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                               reinterpret_cast<const Bytef*>(raw.data()), raw.size(), kLevel);
  TRB_CHECK(result == Z_OK);
  packed.resize(size);

  std::string header;
  PutBig32(&header, static_cast<uint32_t>(width));
  PutBig32(&header, static_cast<uint32_t>(height));
  header += {8, kColorTypes[channels - 1], 0, 0, 0};
  std::string png = "\x89PNG\r\n\x1a\n";
  PutChunk(&png, "IHDR", header);
  PutChunk(&png, "IDAT", packed);
  PutChunk(&png, "IEND", "");
  return png;
}

}  // namespace tributary

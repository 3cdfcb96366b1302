#pragma once
// PNG (ISO/IEC 15948) from 8-bit pixels, through zlib.

#include <cstdint>
#include <string>

namespace tributary {

// `pixels`: height x width x channels bytes, row by row; channels 1 (grey), 2
// (grey, alpha), 3 (RGB) or 4 (RGBA). Throws InvalidArgumentError for other
// channels, for an empty image and for sides above 2^16.
std::string EncodePng(const uint8_t* pixels, int64_t height, int64_t width, int channels);

}  // namespace tributary

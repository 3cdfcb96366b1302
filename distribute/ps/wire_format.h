#pragma once
// Values on the wire: as float32, or in fewer bits.
//
//   float32   as they are
//   bfloat16  uint16 each, rounded to nearest even: to 2^-9 of a value
//   int8      a float32 scale for each group of values, then an int8 each; a value is its
//             number times the scale, rounded to nearest: to 1/254 of the group's largest
//             magnitude
//
// A group is a row of an embedding table, or kWireBlock elements of a dense part (counted
// from its beginning; the last block is what is left).
//
// What is not finite stays so: a bfloat16 of it, or its group's scale. What is finite stays
// finite: at the end of float32's range it is cut off. int8: groups of magnitudes below
// 2^-110 become zeros.
//
// Feedback: what rounding lost is kept, and added to the next value of the same element
// (Seide et al. 2014), so that a sum of many values is right to one rounding.

#include <cstddef>
#include <cstdint>

namespace tributary::ps {

enum class WireFormat : uint8_t { kFloat32 = 0, kBfloat16 = 1, kInt8 = 2 };
inline constexpr uint8_t kWireFormats = 3;

inline constexpr uint64_t kWireBlock = 256;

// Values of one part of a message.
struct WireValues {
  WireFormat format = WireFormat::kFloat32;
  uint64_t count = 0;
  uint64_t group = kWireBlock;  // values that share a scale; at least 1

  static WireValues Dense(WireFormat format, uint64_t count) { return {format, count, kWireBlock}; }
  static WireValues Rows(WireFormat format, uint64_t rows, uint64_t width) {
    return {format, rows * width, width};
  }
  uint64_t groups() const { return count / group + (count % group != 0); }
  // Without padding. No overflow up to 2^60 values.
  uint64_t bytes() const {
    switch (format) {
      case WireFormat::kFloat32: return count * sizeof(float);
      case WireFormat::kBfloat16: return count * sizeof(uint16_t);
      case WireFormat::kInt8: return groups() * sizeof(float) + count;
    }
    return 0;
  }
};

// `encoded`: of all values, aligned to 4 bytes. `values`, `residual`: those of groups
// [first, last) alone, count() of the part at most; nothing overlaps.

// Throws nothing; any float may come.
void EncodeGroups(const WireValues& part, uint64_t first, uint64_t last, const float* values,
                  std::byte* encoded);
void DecodeGroups(const WireValues& part, uint64_t first, uint64_t last, const std::byte* encoded,
                  float* values);

inline void Encode(const WireValues& part, const float* values, std::byte* encoded) {
  EncodeGroups(part, 0, part.groups(), values, encoded);
}
inline void Decode(const WireValues& part, const std::byte* encoded, float* values) {
  DecodeGroups(part, 0, part.groups(), encoded, values);
}
// With feedback: encodes values + residual, and leaves in `residual` what was lost (0 for
// what is not finite). float32 loses nothing and takes up what is there.
void EncodeWithFeedback(const WireValues& part, const float* values, float* residual,
                        std::byte* encoded);

// Whether all values are finite once decoded, whoever encoded them.
bool WireFinite(const WireValues& part, const std::byte* encoded);

}  // namespace tributary::ps

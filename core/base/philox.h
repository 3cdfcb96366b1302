#pragma once
// Philox4x32-10: a counter-based generator. The 128-bit output is a pure
// function of (key, counter), so any thread may produce any part of a stream.
// Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11;
// tensorflow/core/lib/random/philox_random.h.

#include <array>
#include <cstdint>

namespace tributary {

using PhiloxBlock = std::array<uint32_t, 4>;

inline PhiloxBlock Philox4x32(std::array<uint32_t, 2> key, PhiloxBlock counter) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(p0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

// Block `index` of the stream (seed, stream).
inline PhiloxBlock PhiloxAt(uint64_t seed, uint64_t stream, uint64_t index) {
  return Philox4x32(
      {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
      {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
       static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)});
}

// [0, 1) with 23 bits, as TensorFlow's Uint32ToFloat.
inline float UniformFloat(uint32_t bits) {
  const uint32_t one_to_two = (bits & 0x7fffffu) | (127u << 23);
  return __builtin_bit_cast(float, one_to_two) - 1.0f;
}

// A stable 64-bit mix (splitmix64) to derive independent seeds from names,
// steps and ranks.
inline uint64_t MixSeed(uint64_t a, uint64_t b) {
  uint64_t z = a + 0x9E3779B97F4A7C15ull * (b + 1);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

}  // namespace tributary

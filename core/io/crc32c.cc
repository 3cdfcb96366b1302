#include "core/io/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tributary {
namespace {

using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0u);
    tables[0][i] = crc;
  }
  for (int t = 1; t < 8; ++t) {
    for (uint32_t i = 0; i < 256; ++i) {
      const uint32_t before = tables[t - 1][i];
      tables[t][i] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

#if defined(__x86_64__)
// x^n mod P in the reflected order of bits.
constexpr uint32_t PowerOfX(size_t n) {
  uint32_t power = 0x80000000u;
  for (; n > 0; --n) power = (power >> 1) ^ (power & 1 ? 0x82F63B78u : 0u);
  return power;
}

// A carry-less product with this moves a checksum across `count` bytes that follow,
// once crc32 has reduced it (which is what the 33 stands for).
constexpr uint32_t Shift(size_t count) { return PowerOfX(8 * count - 33); }

__attribute__((target("sse4.2,pclmul"))) inline uint64_t Moved(uint64_t crc, uint32_t shift) {
  using Pair = long long __attribute__((vector_size(16)));
  const Pair product = __builtin_ia32_pclmulqdq128(Pair{static_cast<long long>(crc), 0},
                                                   Pair{static_cast<long long>(shift), 0}, 0);
  return static_cast<uint64_t>(product[0]);
}

// The instruction takes three cycles, but one can start in each: three thirds at once.
template <size_t kThird>
__attribute__((target("sse4.2,pclmul"))) const uint8_t* ExtendThirds(uint64_t* state,
                                                                     const uint8_t* bytes,
                                                                     size_t* count) {
  static_assert(kThird % 8 == 0);
  constexpr uint32_t kTwo = Shift(2 * kThird), kOne = Shift(kThird);
  const auto word = [](const uint8_t* at) {
    uint64_t value;
    std::memcpy(&value, at, 8);
    return value;
  };
  for (; *count >= 3 * kThird; *count -= 3 * kThird, bytes += 3 * kThird) {
    uint64_t first = *state, second = 0, third = 0;
    const uint8_t* const end = bytes + kThird - 8;
    const uint8_t* at = bytes;
    for (; at < end; at += 8) {
      first = __builtin_ia32_crc32di(first, word(at));
      second = __builtin_ia32_crc32di(second, word(at + kThird));
      third = __builtin_ia32_crc32di(third, word(at + 2 * kThird));
    }
    first = __builtin_ia32_crc32di(first, word(at));
    second = __builtin_ia32_crc32di(second, word(at + kThird));
    // The last word of the last third takes in what the first two have moved to.
    const uint64_t moved = Moved(first, kTwo) ^ Moved(second, kOne);
    *state = __builtin_ia32_crc32di(third, word(at + 2 * kThird) ^ moved);
  }
  return bytes;
}

__attribute__((target("sse4.2,pclmul"))) uint32_t ExtendSse42(uint32_t crc, const void* data,
                                                              size_t count) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  uint64_t state = ~crc;
  bytes = ExtendThirds<2048>(&state, bytes, &count);
  bytes = ExtendThirds<128>(&state, bytes, &count);
  for (; count >= 8; count -= 8, bytes += 8) {
    uint64_t word;
    std::memcpy(&word, bytes, 8);
    state = __builtin_ia32_crc32di(state, word);
  }
  auto narrow = static_cast<uint32_t>(state);
  for (; count > 0; --count, ++bytes) narrow = __builtin_ia32_crc32qi(narrow, *bytes);
  return ~narrow;
}

// Folding (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ",
// Intel 2009): 16 bytes that are `count` bytes before others are replaced by what they
// leave there. A product of reflected numbers is one bit off, hence the shift; its low half
// stands for x^32 more than is wanted, hence the 32.
constexpr uint64_t FoldLow(size_t count) { return uint64_t{PowerOfX(8 * count + 32)} << 1; }
constexpr uint64_t FoldHigh(size_t count) { return uint64_t{PowerOfX(8 * count - 32)} << 1; }

#define TRB_FOLDS __attribute__((target("avx512f,avx512vl,vpclmulqdq,sse4.2,pclmul")))

TRB_FOLDS inline __m512i FoldConstants(uint64_t low, uint64_t high) {
  return _mm512_set_epi64(high, low, high, low, high, low, high, low);
}
TRB_FOLDS inline __m512i Folded(__m512i from, __m512i constants, __m512i onto) {
  return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(from, constants, 0x00),
                                   _mm512_clmulepi64_epi128(from, constants, 0x11), onto, 0x96);
}

// Four times 64 bytes at once; what is left of them has the checksum of all.
TRB_FOLDS uint32_t ExtendFolding(uint32_t crc, const void* data, size_t count) {
  constexpr size_t kBlock = 64, kTurn = 4 * kBlock;
  if (count < 2 * kTurn) return ExtendSse42(crc, data, count);
  const auto* bytes = static_cast<const uint8_t*>(data);
  const __m512i far = FoldConstants(FoldLow(kTurn), FoldHigh(kTurn));
  const __m512i near = FoldConstants(FoldLow(kBlock), FoldHigh(kBlock));
  const auto load = [&](int i) TRB_FOLDS { return _mm512_loadu_si512(bytes + i * kBlock); };
  __m512i a = _mm512_xor_si512(load(0), _mm512_zextsi128_si512(_mm_cvtsi32_si128(~crc)));
  __m512i b = load(1), c = load(2), d = load(3);
  for (bytes += kTurn, count -= kTurn; count >= kTurn; bytes += kTurn, count -= kTurn) {
    a = Folded(a, far, load(0));
    b = Folded(b, far, load(1));
    c = Folded(c, far, load(2));
    d = Folded(d, far, load(3));
  }
  alignas(kBlock) uint8_t rest[kBlock];
  _mm512_store_si512(rest, Folded(Folded(Folded(a, near, b), near, c), near, d));
  return ExtendSse42(ExtendSse42(~0u, rest, kBlock), bytes, count);
}

#endif

}  // namespace

std::vector<internal::ExtendCrc32cFn> internal::Crc32cChoices() {
  std::vector<ExtendCrc32cFn> choices = {ExtendCrc32cPortable};
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul")) {
    choices.push_back(ExtendSse42);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("vpclmulqdq")) {
      choices.push_back(ExtendFolding);
    }
  }
#endif
  return choices;
}

uint32_t internal::ExtendCrc32cPortable(uint32_t crc, const void* data, size_t count) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  uint32_t state = ~crc;
  for (; count >= 8; count -= 8, bytes += 8) {
    uint32_t low;
    uint32_t high;
    std::memcpy(&low, bytes, 4);
    std::memcpy(&high, bytes + 4, 4);
    low ^= state;
    state = kTables[7][low & 0xff] ^ kTables[6][(low >> 8) & 0xff] ^
            kTables[5][(low >> 16) & 0xff] ^ kTables[4][low >> 24] ^
            kTables[3][high & 0xff] ^ kTables[2][(high >> 8) & 0xff] ^
            kTables[1][(high >> 16) & 0xff] ^ kTables[0][high >> 24];
  }
  for (; count > 0; --count, ++bytes) state = (state >> 8) ^ kTables[0][(state ^ *bytes) & 0xff];
  return ~state;
}

uint32_t ExtendCrc32c(uint32_t crc, const void* data, size_t count) {
  static const internal::ExtendCrc32cFn extend = internal::Crc32cChoices().back();
  return extend(crc, data, count);
}

}  // namespace tributary

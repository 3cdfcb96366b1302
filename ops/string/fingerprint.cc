#include "ops/string/fingerprint.h"

#include <bit>
#include <charconv>
#include <cstring>
#include <utility>

namespace tributary {
namespace {

constexpr uint64_t k0 = 0xc3a5c85c97cb3127u;
constexpr uint64_t k1 = 0xb492b66fbe98f273u;
constexpr uint64_t k2 = 0x9ae16a3b2f90404fu;

uint64_t Fetch64(const char* p) {
  uint64_t value;
  std::memcpy(&value, p, 8);
  return value;
}

uint32_t Fetch32(const char* p) {
  uint32_t value;
  std::memcpy(&value, p, 4);
  return value;
}

uint64_t Rotate(uint64_t value, int shift) { return std::rotr(value, shift); }
uint64_t ShiftMix(uint64_t value) { return value ^ (value >> 47); }

uint64_t HashLen16(uint64_t u, uint64_t v, uint64_t mul) {
  const uint64_t a = ShiftMix((u ^ v) * mul);
  return ShiftMix((v ^ a) * mul) * mul;
}

uint64_t HashLen0to16(const char* s, size_t len) {
  const uint64_t mul = k2 + len * 2;
  if (len >= 8) {
    const uint64_t a = Fetch64(s) + k2, b = Fetch64(s + len - 8);
    return HashLen16(Rotate(b, 37) * mul + a, (Rotate(a, 25) + b) * mul, mul);
  }
  if (len >= 4) {
    return HashLen16(len + (uint64_t{Fetch32(s)} << 3), Fetch32(s + len - 4), mul);
  }
  if (len == 0) return k2;
  const auto byte = [s](size_t i) { return uint32_t{static_cast<uint8_t>(s[i])}; };
  const uint32_t y = byte(0) + (byte(len >> 1) << 8);
  const uint32_t z = static_cast<uint32_t>(len) + (byte(len - 1) << 2);
  return ShiftMix(y * k2 ^ z * k0) * k2;
}

uint64_t HashLen17to32(const char* s, size_t len) {
  const uint64_t mul = k2 + len * 2;
  const uint64_t a = Fetch64(s) * k1, b = Fetch64(s + 8);
  const uint64_t c = Fetch64(s + len - 8) * mul, d = Fetch64(s + len - 16) * k2;
  return HashLen16(Rotate(a + b, 43) + Rotate(c, 30) + d, a + Rotate(b + k2, 18) + c, mul);
}

uint64_t HashLen33to64(const char* s, size_t len) {
  const uint64_t mul = k2 + len * 2;
  const uint64_t a = Fetch64(s) * k2, b = Fetch64(s + 8);
  const uint64_t c = Fetch64(s + len - 8) * mul, d = Fetch64(s + len - 16) * k2;
  const uint64_t y = Rotate(a + b, 43) + Rotate(c, 30) + d;
  const uint64_t z = HashLen16(y, a + Rotate(b + k2, 18) + c, mul);
  const uint64_t e = Fetch64(s + 16) * mul, f = Fetch64(s + 24);
  const uint64_t g = (y + Fetch64(s + len - 32)) * mul, h = (z + Fetch64(s + len - 24)) * mul;
  return HashLen16(Rotate(e + f, 43) + Rotate(g, 30) + h, e + Rotate(f + a, 18) + g, mul);
}

struct Pair {
  uint64_t first = 0, second = 0;
};

Pair WeakHashLen32(const char* s, uint64_t a, uint64_t b) {
  const uint64_t w = Fetch64(s), x = Fetch64(s + 8), y = Fetch64(s + 16), z = Fetch64(s + 24);
  a += w;
  b = Rotate(b + a + z, 21);
  const uint64_t c = a;
  a += x + y;
  b += Rotate(a, 44);
  return {a + z, b + c};
}

uint64_t HashLong(const char* s, size_t len) {
  constexpr uint64_t kSeed = 81;
  uint64_t x = kSeed * k2 + Fetch64(s), y = kSeed * k1 + 113;
  uint64_t z = ShiftMix(y * k2 + 113) * k2;
  Pair v, w;
  const char* end = s + (len - 1) / 64 * 64;
  const char* last64 = end + ((len - 1) & 63) - 63;
  do {
    x = Rotate(x + y + v.first + Fetch64(s + 8), 37) * k1;
    y = Rotate(y + v.second + Fetch64(s + 48), 42) * k1;
    x ^= w.second;
    y += v.first + Fetch64(s + 40);
    z = Rotate(z + w.first, 33) * k1;
    v = WeakHashLen32(s, v.second * k1, x + w.first);
    w = WeakHashLen32(s + 32, z + w.second, y + Fetch64(s + 16));
    std::swap(z, x);
    s += 64;
  } while (s != end);
  const uint64_t mul = k1 + ((z & 0xff) << 1);
  s = last64;
  w.first += (len - 1) & 63;
  v.first += w.first;
  w.first += v.first;
  x = Rotate(x + y + v.first + Fetch64(s + 8), 37) * mul;
  y = Rotate(y + v.second + Fetch64(s + 48), 42) * mul;
  x ^= w.second * 9;
  y += v.first * 9 + Fetch64(s + 40);
  z = Rotate(z + w.first, 33) * mul;
  v = WeakHashLen32(s, v.second * mul, x + w.first);
  w = WeakHashLen32(s + 32, z + w.second, y + Fetch64(s + 16));
  std::swap(z, x);
  return HashLen16(HashLen16(v.first, w.first, mul) + ShiftMix(y) * k0 + z,
                   HashLen16(v.second, w.second, mul) + x, mul);
}

}  // namespace

uint64_t Fingerprint64(std::string_view text) {
  const char* s = text.data();
  const size_t len = text.size();
  if (len <= 16) return HashLen0to16(s, len);
  if (len <= 32) return HashLen17to32(s, len);
  if (len <= 64) return HashLen33to64(s, len);
  return HashLong(s, len);
}

uint64_t Fingerprint64OfInteger(int64_t number) {
  char digits[24];
  const char* end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
  return Fingerprint64({digits, static_cast<size_t>(end - digits)});
}

uint64_t FingerprintCat64(uint64_t a, uint64_t b) {
  constexpr uint64_t kMul = 0xc6a4a7935bd1e995u;
  uint64_t result = a ^ kMul;
  result ^= ShiftMix(b * kMul) * kMul;
  result *= kMul;
  return ShiftMix(ShiftMix(result) * kMul);
}

}  // namespace tributary

#include "ops/random/philox_fill.h"

#include "core/base/parallel.h"
#include "core/base/philox.h"
#include "ops/math/number.h"

namespace tributary {
namespace {

constexpr int64_t kGrain = 4096;

PhiloxBlock BlockAt(const PhiloxStream& s, uint64_t index) {
  return PhiloxAt(s.key, s.counter_high, s.counter_low + index);
}

uint64_t Word64(const PhiloxBlock& b, int half) {
  return uint64_t{b[2 * half + 1]} << 32 | b[2 * half];
}

// [0, 1) with 52 bits (TensorFlow's Uint64ToDouble).
double UniformDouble(uint64_t bits) {
  return __builtin_bit_cast(double, (bits & 0xfffffffffffffull) | 0x3ff0000000000000ull) - 1.0;
}

// Two normal numbers from two uniform ones (Box and Muller, 1958). The smallest
// positive argument keeps the logarithm finite.
template <typename T>
void BoxMuller(T u0, T u1, T* n0, T* n1) {
  const T radius = std::sqrt(T(-2) * std::log(std::max(u0, T(1.0e-7))));
  const T angle = T(6.283185307179586) * u1;
  *n0 = radius * std::sin(angle);
  *n1 = radius * std::cos(angle);
}

// How many numbers of type T one block gives, and which.
template <typename T>
constexpr int kPerBlock = sizeof(T) == 8 ? 2 : 4;

template <typename T>
std::array<T, kPerBlock<T>> Uniforms(const PhiloxBlock& b) {
  if constexpr (sizeof(T) == 8) {
    return {UniformDouble(Word64(b, 0)), UniformDouble(Word64(b, 1))};
  } else {
    return {UniformFloat(b[0]), UniformFloat(b[1]), UniformFloat(b[2]), UniformFloat(b[3])};
  }
}

template <typename T>
std::array<T, kPerBlock<T>> Normals(const PhiloxBlock& b) {
  std::array<T, kPerBlock<T>> u = Uniforms<T>(b);
  for (size_t i = 0; i + 1 < u.size(); i += 2) BoxMuller(u[i], u[i + 1], &u[i], &u[i + 1]);
  return u;
}

// Redraws numbers outside of two deviations; every element has tries of its own.
template <typename T>
T TruncatedAt(const PhiloxStream& s, uint64_t element) {
  constexpr uint64_t kTries = 16;
  for (uint64_t attempt = 0; attempt < kTries; ++attempt) {
    for (const T n : Normals<T>(BlockAt(s, element * kTries + attempt))) {
      if (std::abs(n) < T(2)) return n;
    }
  }
  return T(0);  // once in 10^40 elements
}

template <typename T, typename FromBlock>
void FillBlocks(const PhiloxStream& s, T* out, int64_t count, const FromBlock& numbers) {
  using C = ComputeType<T>;
  constexpr int64_t kPer = kPerBlock<C>;
  ParallelFor((count + kPer - 1) / kPer, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const std::array<C, kPer> values = numbers(BlockAt(s, block));
      const int64_t n = std::min(kPer, count - block * kPer);
      for (int64_t i = 0; i < n; ++i) out[block * kPer + i] = T(values[i]);
    }
  });
}

template <typename T>
void Fill(Distribution distribution, const PhiloxStream& s, T* out, int64_t count) {
  using C = ComputeType<T>;
  switch (distribution) {
    case Distribution::kUniform: return FillBlocks(s, out, count, Uniforms<C>);
    case Distribution::kNormal: return FillBlocks(s, out, count, Normals<C>);
    case Distribution::kTruncatedNormal:
      ParallelFor(count, kGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) out[i] = T(TruncatedAt<C>(s, i));
      });
  }
}

}  // namespace

void FillRandom(Distribution distribution, DType dtype, const PhiloxStream& stream, void* out,
                int64_t count) {
  DispatchFloat(dtype, "random", [&](auto zero) {
    Fill(distribution, stream, static_cast<decltype(zero)*>(out), count);
  });
}

void FillRandomInt(DType dtype, const PhiloxStream& stream, int64_t low, int64_t high,
                   void* out, int64_t count) {
  const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  DispatchIndex(dtype, "random", [&](auto zero) {
    using T = decltype(zero);
    T* const values = static_cast<T*>(out);
    ParallelFor(count, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const uint64_t word = Word64(BlockAt(stream, i / 2), i % 2);
        values[i] = static_cast<T>(static_cast<uint64_t>(low) + word % range);
      }
    });
  });
}

}  // namespace tributary

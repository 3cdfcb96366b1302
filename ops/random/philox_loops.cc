#include "ops/random/philox_loops.h"

#include "core/base/parallel.h"
#include "core/base/philox.h"
#include "ops/math/number.h"

namespace tributary {
namespace {

constexpr int64_t kGrain = 1 << 12;  // blocks

// Block `index` of the stream.
PhiloxBlock BlockAt(const PhiloxState& state, uint64_t index) {
  const PhiloxState at = Advanced(state, index);
  return Philox4x32({static_cast<uint32_t>(at.key), static_cast<uint32_t>(at.key >> 32)},
                    {static_cast<uint32_t>(at.counter[0]),
                     static_cast<uint32_t>(at.counter[0] >> 32),
                     static_cast<uint32_t>(at.counter[1]),
                     static_cast<uint32_t>(at.counter[1] >> 32)});
}

double UniformDouble(uint32_t low, uint32_t high) {
  const uint64_t mantissa = (uint64_t{high & 0xfffffu} << 32) | low;
  return __builtin_bit_cast(double, (uint64_t{1023} << 52) | mantissa) - 1.0;
}

// Box and Muller. u, v in [0, 1).
template <typename T>
void BoxMuller(T u, T v, T* a, T* b) {
  const T radius = std::sqrt(T(-2) * std::log(std::max(u, T(1e-7))));
  const T angle = T(2 * M_PI) * v;
  *a = radius * std::sin(angle);
  *b = radius * std::cos(angle);
}

// Values of one block: four, or two of float64.
template <typename T>
constexpr int kPerBlock = std::is_same_v<T, double> ? 2 : 4;

template <typename T>
void Draw(Distribution distribution, const PhiloxBlock& block, ComputeType<T>* values) {
  using V = ComputeType<T>;
  for (int i = 0; i < kPerBlock<T>; ++i) {
    if constexpr (std::is_same_v<T, double>) {
      values[i] = UniformDouble(block[2 * i + 1], block[2 * i]);
    } else if constexpr (std::is_same_v<T, Half>) {
      values[i] = static_cast<V>((block[i] & 0x3ffu) / 1024.0f);  // 10 bits: stays below 1
    } else if constexpr (std::is_same_v<T, BFloat16>) {
      values[i] = static_cast<V>((block[i] & 0x7fu) / 128.0f);
    } else {
      values[i] = UniformFloat(block[i]);
    }
  }
  if (distribution == Distribution::kUniform) return;
  if constexpr (kIsSmallFloat<T>) {
    for (int i = 0; i < 4; ++i) values[i] = UniformFloat(block[i]);
  }
  for (int i = 0; i < kPerBlock<T>; i += 2) {
    BoxMuller(values[i], values[i + 1], &values[i], &values[i + 1]);
  }
}

// A group of accepted values takes what it needs of so many samples of its own
// (kReservedSamplesPerOutput of random_op.cc), so groups do not depend on each other.
constexpr uint64_t kReservedSamples = 256;
template <typename T>
constexpr uint64_t kReservedBlocks = kReservedSamples * kPerBlock<T> / 4;

template <typename T>
void DrawTruncated(const PhiloxState& state, int64_t group, ComputeType<T>* values) {
  ComputeType<T> candidates[4];
  int accepted = 0;
  for (uint64_t block = group * kReservedBlocks<T>; accepted < kPerBlock<T>; ++block) {
    Draw<T>(Distribution::kNormal, BlockAt(state, block), candidates);
    for (int i = 0; i < kPerBlock<T> && accepted < kPerBlock<T>; ++i) {
      if (std::abs(candidates[i]) < 2) values[accepted++] = candidates[i];
    }
  }
}

}  // namespace

uint64_t PhiloxBlocks(Distribution distribution, DType dtype, int64_t count) {
  const int64_t per = dtype == DType::kFloat64 || dtype == DType::kInt64 ? 2 : 4;
  const uint64_t groups = (count + per - 1) / per;
  return distribution == Distribution::kTruncatedNormal ? groups * kReservedSamples * per / 4
                                                        : groups;
}

PhiloxState Advanced(PhiloxState state, uint64_t blocks) {
  state.counter[0] += blocks;
  if (state.counter[0] < blocks) ++state.counter[1];
  return state;
}

void FillRandom(Distribution distribution, const PhiloxState& state, DType dtype, void* out,
                int64_t count) {
  DispatchFloat(dtype, "random", [&](auto zero) {
    using T = decltype(zero);
    T* y = static_cast<T*>(out);
    const int64_t groups = PhiloxBlocks(Distribution::kUniform, dtype, count);
    ParallelFor(groups, kGrain, [&](int64_t begin, int64_t end) {
      ComputeType<T> values[4];
      for (int64_t b = begin; b < end; ++b) {
        if (distribution == Distribution::kTruncatedNormal) {
          DrawTruncated<T>(state, b, values);
        } else {
          Draw<T>(distribution, BlockAt(state, b), values);
        }
        const int64_t at = b * kPerBlock<T>;
        for (int64_t i = 0; i < std::min<int64_t>(kPerBlock<T>, count - at); ++i) {
          y[at + i] = T(values[i]);
        }
      }
    });
  });
}

void FillRandomInts(const PhiloxState& state, DType dtype, int64_t low, int64_t high, void* out,
                    int64_t count) {
  const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  DispatchIndex(dtype, "RandomUniformInt", [&](auto zero) {
    using T = decltype(zero);
    constexpr int64_t kPer = sizeof(T) == 8 ? 2 : 4;
    const int64_t blocks = PhiloxBlocks(Distribution::kUniform, dtype, count);
    ParallelFor(blocks, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const PhiloxBlock block = BlockAt(state, b);
        for (int64_t i = 0; i < std::min(kPer, count - b * kPer); ++i) {
          const uint64_t bits =
              sizeof(T) == 8 ? (uint64_t{block[2 * i + 1]} << 32) | block[2 * i] : block[i];
          static_cast<T*>(out)[b * kPer + i] =
              static_cast<T>(static_cast<uint64_t>(low) + bits % range);
        }
      }
    });
  });
}

}  // namespace tributary

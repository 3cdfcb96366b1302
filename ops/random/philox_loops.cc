#include "ops/random/philox_loops.h"

#include "core/base/parallel.h"
#include "core/base/philox.h"
#include "ops/math/number.h"

namespace tributary {
namespace {

constexpr int64_t kGrain = 1 << 12;  // blocks

// Block `index` of the stream; `attempt` is a dimension of its own, for rejection.
PhiloxBlock BlockAt(const PhiloxState& state, uint64_t index, uint32_t attempt = 0) {
  const PhiloxState at = Advanced(state, index);
  return Philox4x32({static_cast<uint32_t>(at.key), static_cast<uint32_t>(at.key >> 32)},
                    {static_cast<uint32_t>(at.counter[0]),
                     static_cast<uint32_t>(at.counter[0] >> 32),
                     static_cast<uint32_t>(at.counter[1]),
                     static_cast<uint32_t>(at.counter[1] >> 32) ^ (attempt << 8)});
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

template <typename T>
void DrawAccepted(Distribution distribution, const PhiloxState& state, int64_t index,
                  ComputeType<T>* values) {
  Draw<T>(distribution, BlockAt(state, index), values);
  if (distribution != Distribution::kTruncatedNormal) return;
  ComputeType<T> more[4];
  for (int i = 0; i < kPerBlock<T>; ++i) {
    for (uint32_t attempt = 1; !(std::abs(values[i]) < 2); ++attempt) {
      Draw<T>(distribution, BlockAt(state, index, attempt), more);
      values[i] = more[i];
    }
  }
}

}  // namespace

uint64_t PhiloxBlocks(DType dtype, int64_t count) {
  return dtype == DType::kFloat64 || dtype == DType::kInt64 ? (count + 1) / 2 : (count + 3) / 4;
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
    ParallelFor(PhiloxBlocks(dtype, count), kGrain, [&](int64_t begin, int64_t end) {
      ComputeType<T> values[4];
      for (int64_t b = begin; b < end; ++b) {
        DrawAccepted<T>(distribution, state, b, values);
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
    ParallelFor(PhiloxBlocks(dtype, count), kGrain, [&](int64_t begin, int64_t end) {
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

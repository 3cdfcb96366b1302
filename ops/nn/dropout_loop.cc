#include "ops/nn/dropout_loop.h"

#include "core/base/parallel.h"
#include "core/base/philox.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/nn/dropout_loop.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Words of the blocks first, first + 1, ... in order, as many as `words` holds.
constexpr int64_t kWords = 64;

#if HWY_TARGET == HWY_SCALAR
void Words(const DropoutStream& s, uint64_t first, uint32_t* words) {
  for (int64_t b = 0; b < kWords / 4; ++b) {
    const PhiloxBlock block = PhiloxAt(s.seed, s.step, first + b);
    std::copy(block.begin(), block.end(), words + 4 * b);
  }
}
#else
using U = hn::CappedTag<uint32_t, 16>;
using VU = hn::Vec<U>;

// Halves of the 64-bit products of all lanes with a constant.
HWY_INLINE void MulWide(VU x, VU constant, VU* high, VU* low) {
  const U d;
  const hn::Repartition<uint64_t, U> d64;
  const auto even = hn::MulEven(x, constant);
  const auto odd = hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(d64, x))), constant);
  *high = hn::OddEven(hn::BitCast(d, odd), hn::BitCast(d, hn::ShiftRight<32>(even)));
  *low = hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(odd)), hn::BitCast(d, even));
}

void Words(const DropoutStream& s, uint64_t first, uint32_t* words) {
  const U d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t b = 0; b < kWords / 4; b += lanes) {
    const uint64_t index = first + b;
    const VU base = hn::Set(d, static_cast<uint32_t>(index));
    VU c0 = hn::Add(base, hn::Iota(d, 0));
    // The upper half of the index, one more where the lower half wrapped.
    const VU carry = hn::IfThenElseZero(hn::Lt(c0, base), hn::Set(d, 1u));
    VU c1 = hn::Add(hn::Set(d, static_cast<uint32_t>(index >> 32)), carry);
    VU c2 = hn::Set(d, static_cast<uint32_t>(s.step));
    VU c3 = hn::Set(d, static_cast<uint32_t>(s.step >> 32));
    uint32_t k0 = static_cast<uint32_t>(s.seed), k1 = static_cast<uint32_t>(s.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      VU high0, low0, high1, low1;
      MulWide(c0, hn::Set(d, 0xD2511F53u), &high0, &low0);
      MulWide(c2, hn::Set(d, 0xCD9E8D57u), &high1, &low1);
      c0 = hn::Xor(hn::Xor(high1, c1), hn::Set(d, k0));
      c1 = low1;
      c2 = hn::Xor(hn::Xor(high0, c3), hn::Set(d, k1));
      c3 = low0;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    hn::StoreInterleaved4(c0, c1, c2, c3, d, words + 4 * b);
  }
}
#endif

// Elements [begin, end). `threshold`: the smallest 23-bit number that stays.
void Dropout(const DropoutStream& s, uint32_t threshold, float scale, const float* x, float* y,
             int64_t begin, int64_t end) {
  HWY_ALIGN uint32_t words[kWords];
  uint64_t block = (s.offset + begin) / 4;
  int64_t skip = static_cast<int64_t>((s.offset + begin) % 4);
  for (int64_t i = begin; i < end; block += kWords / 4, skip = 0) {
    Words(s, block, words);
    const int64_t count = std::min(end - i, kWords - skip);
    for (int64_t j = 0; j < count; ++j) {
      const bool stays = (words[skip + j] & 0x7fffffu) >= threshold;
      y[i + j] = stays ? x[i + j] * scale : 0.0f;
    }
    i += count;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {

HWY_EXPORT(Dropout);

void RunDropout(const DropoutStream& stream, float rate, const float* x, float* y,
                int64_t count) {
  const auto threshold = static_cast<uint32_t>(std::ceil(static_cast<double>(rate) * (1 << 23)));
  const float scale = 1.0f / (1.0f - rate);
  ParallelFor(count, 1 << 13, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(Dropout)(stream, threshold, scale, x, y, begin, end);
  });
}

}  // namespace tributary
#endif

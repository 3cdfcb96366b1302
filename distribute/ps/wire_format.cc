#include "distribute/ps/wire_format.h"

#include <bit>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "distribute/ps/wire_format.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary::ps {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr uint32_t kMagnitude = 0x7fffffffu, kInfinity = 0x7f800000u, kNaN = 0x7fc00000u;
constexpr float kLargestScale = std::numeric_limits<float>::max() / 128;  // int8 reaches -128
constexpr float kTiny = 0x1p-110f;  // below, the scale's inverse would leave float's range

// Calls body(d, i) for whole vectors at i, for at most one shorter one, then one by one.
template <typename T, class Body>
HWY_INLINE void ForLanes(size_t count, const Body& body) {
  const hn::ScalableTag<T> d;
  const hn::CappedTag<T, 4> four;
  const hn::CappedTag<T, 1> one;
  size_t i = 0;
  for (const size_t lanes = hn::Lanes(d); i + lanes <= count; i += lanes) body(d, i);
  for (const size_t lanes = hn::Lanes(four); i + lanes <= count; i += lanes) body(four, i);
  for (; i < count; ++i) body(one, i);
}

// --- bfloat16 --------------------------------------------------------------------------

// The upper halves, in 32-bit lanes. `error` (may be null): what is lost.
template <class D, class V = hn::Vec<D>>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> Upper(D d, V x, V* error) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, x);
  const auto magnitude = hn::And(bits, hn::Set(du, kMagnitude));
  const auto finite = hn::Lt(magnitude, hn::Set(du, kInfinity));
  const auto odd = hn::And(hn::ShiftRight<16>(magnitude), hn::Set(du, 1u));
  const auto rounded = hn::Min(hn::Add(magnitude, hn::Add(odd, hn::Set(du, 0x7fffu))),
                               hn::Set(du, kInfinity - 1));
  const auto nan = hn::Gt(magnitude, hn::Set(du, kInfinity));
  const auto special = hn::IfThenElse(nan, hn::Set(du, kNaN), hn::Set(du, kInfinity));
  const auto sign = hn::AndNot(hn::Set(du, kMagnitude), bits);
  const auto upper =
      hn::ShiftRight<16>(hn::Or(sign, hn::IfThenElse(finite, rounded, special)));
  if (error) {
    const auto back = hn::BitCast(d, hn::ShiftLeft<16>(upper));
    *error = hn::IfThenElseZero(hn::RebindMask(d, finite), hn::Sub(x, back));
  }
  return upper;
}

void EncodeBfloat16(const float* values, float* residual, size_t count, uint16_t* out) {
  ForLanes<float>(count, [&](auto d, size_t i) HWY_ATTR {
    const hn::Rebind<uint16_t, decltype(d)> d16;
    auto x = hn::LoadU(d, values + i), error = x;
    if (residual) x = hn::Add(x, hn::LoadU(d, residual + i));
    hn::StoreU(hn::TruncateTo(d16, Upper(d, x, residual ? &error : nullptr)), d16, out + i);
    if (residual) hn::StoreU(error, d, residual + i);
  });
}

void DecodeBfloat16(const uint16_t* in, size_t count, float* values) {
  ForLanes<float>(count, [&](auto d, size_t i) HWY_ATTR {
    const hn::RebindToUnsigned<decltype(d)> du;
    const hn::Rebind<uint16_t, decltype(d)> d16;
    const auto wide = hn::ShiftLeft<16>(hn::PromoteTo(du, hn::LoadU(d16, in + i)));
    hn::StoreU(hn::BitCast(d, wide), d, values + i);
  });
}

bool FiniteBfloat16(const uint16_t* in, size_t count) {
  const hn::ScalableTag<uint16_t> d;
  const size_t lanes = hn::Lanes(d);
  const auto magnitude = hn::Set(d, uint16_t{0x7fff}), infinity = hn::Set(d, uint16_t{0x7f80});
  auto largest = hn::Zero(d);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    largest = hn::Max(largest, hn::And(hn::LoadU(d, in + i), magnitude));
  }
  bool finite = hn::AllFalse(d, hn::Eq(hn::Max(largest, infinity), largest));
  for (; i < count; ++i) finite &= (in[i] & 0x7fff) < 0x7f80;
  return finite;
}

// --- int8 --------------------------------------------------------------------------------

// Bits of the largest magnitude; NaN is larger than all. Adds values to a residual.
HWY_INLINE uint32_t Largest(const float* values, float* residual, size_t count) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const size_t lanes = hn::Lanes(d);
  const auto magnitude = hn::Set(du, kMagnitude);
  auto largest = hn::Zero(du);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    auto x = hn::LoadU(d, values + i);
    if (residual) {
      x = hn::Add(x, hn::LoadU(d, residual + i));
      hn::StoreU(x, d, residual + i);
    }
    largest = hn::Max(largest, hn::And(hn::BitCast(du, x), magnitude));
  }
  uint32_t most = i > 0 ? hn::GetLane(hn::MaxOfLanes(du, largest)) : 0;
  for (; i < count; ++i) {
    float x = values[i];
    if (residual) x = residual[i] += x;
    const uint32_t m = std::bit_cast<uint32_t>(x) & kMagnitude;
    most = m > most ? m : most;
  }
  return most;
}

// The numbers of a group whose scale is not 0.
HWY_INLINE void Quantise(const float* values, float* residual, size_t count, float scale,
                         int8_t* out) {
  const float inverse = 1 / scale;
  ForLanes<float>(count, [&](auto d, size_t i) HWY_ATTR {
    const hn::RebindToSigned<decltype(d)> di;
    const hn::Rebind<int8_t, decltype(d)> d8;
    const auto x = hn::LoadU(d, values + i);
    const auto nearest = hn::NearestInt(hn::Mul(x, hn::Set(d, inverse)));
    const auto q = hn::Max(hn::Min(nearest, hn::Set(di, 127)), hn::Set(di, -127));
    hn::StoreU(hn::DemoteTo(d8, q), d8, out + i);
    if (!residual) return;
    const auto back = hn::Mul(hn::ConvertTo(d, q), hn::Set(d, scale));
    hn::StoreU(hn::Sub(x, back), d, residual + i);
  });
}

void EncodeInt8(const float* values, float* residual, size_t count, size_t group, float* scales,
                int8_t* out) {
  for (size_t at = 0; at < count; at += group) {
    const size_t n = HWY_MIN(group, count - at);
    float* lost = residual ? residual + at : nullptr;
    const uint32_t largest = Largest(values + at, lost, n);
    const float peak = std::bit_cast<float>(largest);
    const bool finite = largest < kInfinity, zeros = !finite || peak < kTiny;
    const float scale = zeros ? 0 : HWY_MIN(peak / 127, kLargestScale);
    *scales++ = finite ? scale : std::bit_cast<float>(kNaN);
    if (!zeros) {
      Quantise(lost ? lost : values + at, lost, n, scale, out + at);
      continue;
    }
    for (size_t i = 0; i < n; ++i) out[at + i] = 0;
    for (size_t i = 0; lost && !finite && i < n; ++i) lost[i] = 0;
  }
}

void DecodeInt8(const float* scales, const int8_t* in, size_t count, size_t group, float* values) {
  for (size_t at = 0; at < count; at += group) {
    const float scale = *scales++;
    ForLanes<float>(HWY_MIN(group, count - at), [&](auto d, size_t i) HWY_ATTR {
      const hn::RebindToSigned<decltype(d)> di;
      const hn::Rebind<int8_t, decltype(d)> d8;
      const auto q = hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(d8, in + at + i)));
      hn::StoreU(hn::Mul(q, hn::Set(d, scale)), d, values + at + i);
    });
  }
}

bool FiniteScales(const float* scales, size_t count) {
  return Largest(scales, nullptr, count) <= std::bit_cast<uint32_t>(kLargestScale);
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary::ps
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <cstring>

#include "distribute/ps/finite.h"

namespace tributary::ps {
namespace {

HWY_EXPORT(EncodeBfloat16);
HWY_EXPORT(DecodeBfloat16);
HWY_EXPORT(FiniteBfloat16);
HWY_EXPORT(EncodeInt8);
HWY_EXPORT(DecodeInt8);
HWY_EXPORT(FiniteScales);

// Values [begin, begin + count) and where the scales of their groups are.
struct Range {
  Range(const WireValues& part, uint64_t first, uint64_t last)
      : begin(first * part.group), count(std::min(last * part.group, part.count) - begin),
        scale(first * sizeof(float)), numbers(part.groups() * sizeof(float) + begin) {}
  uint64_t begin, count;
  uint64_t scale, numbers;  // int8: offsets in bytes
};

void EncodeRange(const WireValues& part, const Range& r, const float* values, float* residual,
                 std::byte* encoded) {
  if (part.format == WireFormat::kBfloat16) {
    auto* out = reinterpret_cast<uint16_t*>(encoded) + r.begin;
    HWY_DYNAMIC_DISPATCH(EncodeBfloat16)(values, residual, r.count, out);
  } else {
    HWY_DYNAMIC_DISPATCH(EncodeInt8)
    (values, residual, r.count, part.group, reinterpret_cast<float*>(encoded + r.scale),
     reinterpret_cast<int8_t*>(encoded + r.numbers));
  }
}

}  // namespace

void EncodeGroups(const WireValues& part, uint64_t first, uint64_t last, const float* values,
                  std::byte* encoded) {
  if (first >= last) return;
  const Range r(part, first, last);
  if (part.format == WireFormat::kFloat32) {
    std::memcpy(encoded + r.begin * sizeof(float), values, r.count * sizeof(float));
  } else {
    EncodeRange(part, r, values, nullptr, encoded);
  }
}

void EncodeWithFeedback(const WireValues& part, const float* values, float* residual,
                        std::byte* encoded) {
  if (part.count == 0) return;
  if (part.format != WireFormat::kFloat32) {
    return EncodeRange(part, Range(part, 0, part.groups()), values, residual, encoded);
  }
  auto* out = reinterpret_cast<float*>(encoded);
  for (uint64_t i = 0; i < part.count; ++i) {
    out[i] = values[i] + residual[i];
    residual[i] = 0;
  }
}

void DecodeGroups(const WireValues& part, uint64_t first, uint64_t last, const std::byte* encoded,
                  float* values) {
  if (first >= last) return;
  const Range r(part, first, last);
  switch (part.format) {
    case WireFormat::kFloat32:
      std::memcpy(values, encoded + r.begin * sizeof(float), r.count * sizeof(float));
      return;
    case WireFormat::kBfloat16:
      HWY_DYNAMIC_DISPATCH(DecodeBfloat16)
      (reinterpret_cast<const uint16_t*>(encoded) + r.begin, r.count, values);
      return;
    case WireFormat::kInt8:
      HWY_DYNAMIC_DISPATCH(DecodeInt8)
      (reinterpret_cast<const float*>(encoded + r.scale),
       reinterpret_cast<const int8_t*>(encoded + r.numbers), r.count, part.group, values);
      return;
  }
}

bool WireFinite(const WireValues& part, const std::byte* encoded) {
  switch (part.format) {
    case WireFormat::kFloat32:
      return AllFinite(reinterpret_cast<const float*>(encoded), static_cast<int64_t>(part.count));
    case WireFormat::kBfloat16:
      return HWY_DYNAMIC_DISPATCH(FiniteBfloat16)(reinterpret_cast<const uint16_t*>(encoded),
                                                  part.count);
    case WireFormat::kInt8:
      return HWY_DYNAMIC_DISPATCH(FiniteScales)(reinterpret_cast<const float*>(encoded),
                                                part.groups());
  }
  return false;
}

}  // namespace tributary::ps
#endif

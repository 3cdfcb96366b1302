#include "trainer/loop/check_finite.h"

#include <array>
#include <atomic>
#include <bit>
#include <limits>
#include <map>

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trainer/loop/check_finite.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Whether one of n floats, seen as their bits, is infinite or NaN. Exponent bits all
// set <=> adding one exponent unit to the absolute value carries into the sign bit.
// It runs in every step over every gradient: four sums under way at a time.
template <typename Bits, int kMantissa>
bool Scan(const void* data, int64_t n) {
  constexpr Bits kAbs = static_cast<Bits>(~Bits{0}) >> 1;
  constexpr Bits kUnit = Bits{1} << kMantissa;
  const Bits* bits = static_cast<const Bits*>(data);
  const hn::ScalableTag<Bits> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto abs = hn::Set(d, kAbs), unit = hn::Set(d, kUnit);
  const auto look = [&](auto seen, int64_t at) HWY_ATTR {
    return hn::Or(seen, hn::Add(hn::And(hn::LoadU(d, bits + at), abs), unit));
  };
  auto seen0 = hn::Zero(d), seen1 = seen0, seen2 = seen0, seen3 = seen0;
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    seen0 = look(seen0, i);
    seen1 = look(seen1, i + lanes);
    seen2 = look(seen2, i + 2 * lanes);
    seen3 = look(seen3, i + 3 * lanes);
  }
  for (; i + lanes <= n; i += lanes) seen0 = look(seen0, i);
  const auto seen = hn::Or(hn::Or(seen0, seen1), hn::Or(seen2, seen3));
  Bits last = 0;
  for (; i < n; ++i) last |= static_cast<Bits>((bits[i] & kAbs) + kUnit);
  return last > kAbs || !hn::AllFalse(d, hn::Gt(seen, abs));
}

// The largest absolute value, as its bits: those of a NaN are above those of infinity.
uint32_t LargestBits(const float* data, int64_t n) {
  const uint32_t* bits = reinterpret_cast<const uint32_t*>(data);
  constexpr uint32_t kAbs = 0x7fffffffu;
  const hn::ScalableTag<uint32_t> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto abs = hn::Set(d, kAbs);
  const auto look = [&](auto most, int64_t at) HWY_ATTR {
    return hn::Max(most, hn::And(hn::LoadU(d, bits + at), abs));
  };
  auto most0 = hn::Zero(d), most1 = most0;
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    most0 = look(most0, i);
    most1 = look(most1, i + lanes);
  }
  uint32_t most = 0;
  for (; i < n; ++i) most = std::max(most, bits[i] & kAbs);
  return std::max(most, hn::GetLane(hn::MaxOfLanes(d, hn::Max(most0, most1))));
}

bool (*FindScan(DType dtype))(const void*, int64_t) {
  switch (dtype) {
    case DType::kFloat32: return Scan<uint32_t, 23>;
    case DType::kFloat64: return Scan<uint64_t, 52>;
    case DType::kBFloat16: return Scan<uint16_t, 7>;
    case DType::kHalf: return Scan<uint16_t, 10>;
    default: return nullptr;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {

HWY_EXPORT(FindScan);
HWY_EXPORT(LargestBits);

namespace {

using ScanFn = bool (*)(const void*, int64_t);

ScanFn ScanFor(DType dtype) {
  const ScanFn scan = HWY_DYNAMIC_DISPATCH(FindScan)(dtype);
  if (scan) return scan;
  throw InvalidArgumentError("[_CheckFinite] {} is not a floating dtype", DTypeName(dtype));
}

class CheckFiniteKernel final : public Kernel {
 public:
  explicit CheckFiniteKernel(PrepareContext& c)
      : scan_(ScanFor(c.in_dtype(1))), element_(DTypeSize(c.in_dtype(1))) {
    for (int i = 1; i < c.num_inputs(); ++i) counts_.push_back(c.in_shape(i).NumElements());
  }

  void Launch(const LaunchArgs& args) override {
    for (size_t i = 0; i < counts_.size(); ++i) {
      const char* data = static_cast<const char*>(args.in[i + 1]);
      std::atomic<bool> bad{false};
      ParallelFor(counts_[i], 1 << 16, [&](int64_t begin, int64_t end) {
        if (scan_(data + begin * element_, end - begin)) bad = true;
      });
      if (!bad) continue;
      *static_cast<int64_t*>(args.in[0]) = static_cast<int64_t>(i) + 1;
      throw InvalidArgumentError("[_CheckFinite] tensor {} holds NaN or infinity", i);
    }
  }

 private:
  ScanFn scan_;
  int64_t element_;
  std::vector<int64_t> counts_;
};

std::unique_ptr<Kernel> MakeCheckProduct(PrepareContext& c) {
  const int64_t counts[] = {c.in_shape(1).NumElements(), c.in_shape(2).NumElements()};
  const auto terms = static_cast<double>(c.attr<int64_t>("terms"));
  return MakeKernel([counts = std::to_array(counts), terms](const LaunchArgs& args) {
    double bound = terms;
    for (int i = 0; i < 2; ++i) {
      const uint32_t bits = HWY_DYNAMIC_DISPATCH(LargestBits)(
          static_cast<const float*>(args.in[i + 1]), counts[static_cast<size_t>(i)]);
      bound *= static_cast<double>(std::bit_cast<float>(bits));
    }
    if (bound <= static_cast<double>(std::numeric_limits<float>::max())) return;
    *static_cast<int64_t*>(args.in[0]) = 1;
    throw InvalidArgumentError("[_CheckFiniteProduct] a product may be NaN or infinite");
  });
}

REGISTER_OP("_CheckFiniteProduct")
    .Input("flag: resource")
    .Input("a: float")
    .Input("b: float")
    .Attr("terms: int >= 1")
    .Shape([](InferenceContext&) {})
    .NotDifferentiable()
    .Stateful();
REGISTER_KERNEL("_CheckFiniteProduct", DeviceType::kCpu, {}, MakeCheckProduct);

REGISTER_OP("_CheckFinite")
    .Input("flag: resource")
    .Input("values: N * Tvalues")
    .Attr("N: int >= 1")
    .Attr("Tvalues: {float32, float64, bfloat16, half}")
    .Shape([](InferenceContext&) {})
    .NotDifferentiable()
    .Stateful();
REGISTER_KERNEL("_CheckFinite", DeviceType::kCpu, {}, [](PrepareContext& c) {
  return std::make_unique<CheckFiniteKernel>(c);
});

}  // namespace

void CheckFinite(const Tensor& flag, const std::vector<Tensor>& values) {
  std::map<DType, std::vector<Tensor>> by_dtype;
  for (const Tensor& value : values) by_dtype[value.dtype()].push_back(value);
  for (const auto& [dtype, same] : by_dtype) {
    std::vector<Tensor> inputs = {flag};
    inputs.insert(inputs.end(), same.begin(), same.end());
    Execute("_CheckFinite", inputs, {{"N", static_cast<int64_t>(same.size())}});
  }
}

void CheckFiniteProduct(const Tensor& flag, const Tensor& a, const Tensor& b, int64_t terms) {
  Execute("_CheckFiniteProduct", {flag, a, b}, {{"terms", terms}});
}

int64_t FirstNonFinite(const Tensor& value) {
  if (!IsFloating(value.dtype())) return -1;
  const ScanFn scan = ScanFor(value.dtype());
  const char* data = static_cast<const char*>(value.raw_data());
  const int64_t count = value.NumElements(), size = DTypeSize(value.dtype());
  if (!scan(data, count)) return -1;
  int64_t at = 0;
  while (!scan(data + at * size, 1)) ++at;
  return at;
}

}  // namespace tributary
#endif

#include "trainer/loop/check_finite.h"

#include <cmath>

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"

namespace tributary {
namespace {

// Exponent bits all set <=> infinite or NaN: adding one exponent unit to the
// absolute value then carries into the sign bit. Plain integer arithmetic, which
// the compiler turns into vectors of the machine's width.
template <typename Bits, int kMantissa>
__attribute__((always_inline)) inline bool AnyBad(const Bits* bits, int64_t n) {
  constexpr Bits kAbs = static_cast<Bits>(~Bits{0}) >> 1;
  constexpr Bits kUnit = Bits{1} << kMantissa;
  Bits seen = 0;
  for (int64_t i = 0; i < n; ++i) seen |= static_cast<Bits>((bits[i] & kAbs) + kUnit);
  return seen > kAbs;
}

using ScanFn = bool (*)(const void*, int64_t);

#define TRB_SCAN(name, attributes)                                    \
  template <typename Bits, int kMantissa>                             \
  attributes bool name(const void* data, int64_t n) {                 \
    return AnyBad<Bits, kMantissa>(static_cast<const Bits*>(data), n); \
  }
TRB_SCAN(ScanPlain, )
#ifdef __x86_64__
TRB_SCAN(ScanAvx2, __attribute__((target("avx2"))))
TRB_SCAN(ScanAvx512, __attribute__((target("avx512f,prefer-vector-width=512"))))
#endif

template <typename Bits, int kMantissa>
ScanFn Scan() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f")) return ScanAvx512<Bits, kMantissa>;
  if (__builtin_cpu_supports("avx2")) return ScanAvx2<Bits, kMantissa>;
#endif
  return ScanPlain<Bits, kMantissa>;
}

ScanFn ScanFor(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return Scan<uint32_t, 23>();
    case DType::kFloat64: return Scan<uint64_t, 52>();
    case DType::kBFloat16: return Scan<uint16_t, 7>();
    case DType::kHalf: return Scan<uint16_t, 10>();
    default:
      throw InvalidArgumentError("[_CheckFinite] {} is not a floating dtype",
                                 DTypeName(dtype));
  }
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

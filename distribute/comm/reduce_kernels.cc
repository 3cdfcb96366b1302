#include "distribute/comm/reduce_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "distribute/comm/reduce_kernels.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

struct SumOp {
  template <typename V>
  V operator()(V a, V b) const { return hn::Add(a, b); }
};
struct MaxOp {
  template <typename V>
  V operator()(V a, V b) const { return hn::Max(a, b); }
};
struct MinOp {
  template <typename V>
  V operator()(V a, V b) const { return hn::Min(a, b); }
};

template <int N, typename T, typename Op, typename D>
HWY_INLINE auto Fold(D d, const T* const* sources, int64_t i, Op op) {
  auto value = hn::LoadU(d, sources[0] + i);
  // Unrolled: N is a constant.
  for (int s = 1; s < N; ++s) value = op(value, hn::LoadU(d, sources[s] + i));
  return value;
}

template <int N, typename T, typename Op>
void ReduceN(T* target, const T* const* sources, int64_t count, double scale, Op op) {
  const T* in[N];
  for (int s = 0; s < N; ++s) in[s] = sources[s];
  const hn::ScalableTag<T> wide;
  const hn::CappedTag<T, 1> one;
  const int64_t lanes = hn::Lanes(wide);
  int64_t i = 0;
  if (scale == 1.0) {
    for (; i + lanes <= count; i += lanes) hn::StoreU(Fold<N>(wide, in, i, op), wide, target + i);
    for (; i < count; ++i) hn::StoreU(Fold<N>(one, in, i, op), one, target + i);
    return;
  }
  if constexpr (std::is_floating_point_v<T>) {
    const auto factor = hn::Set(wide, static_cast<T>(scale));
    const auto factor1 = hn::Set(one, static_cast<T>(scale));
    for (; i + lanes <= count; i += lanes) {
      hn::StoreU(hn::Mul(Fold<N>(wide, in, i, op), factor), wide, target + i);
    }
    for (; i < count; ++i) {
      hn::StoreU(hn::Mul(Fold<N>(one, in, i, op), factor1), one, target + i);
    }
  }
}

template <typename T, typename Op>
void ReduceUpTo8(T* target, const T* const* sources, int n, int64_t count, double scale, Op op) {
  switch (n) {
    case 1: return ReduceN<1>(target, sources, count, scale, op);
    case 2: return ReduceN<2>(target, sources, count, scale, op);
    case 3: return ReduceN<3>(target, sources, count, scale, op);
    case 4: return ReduceN<4>(target, sources, count, scale, op);
    case 5: return ReduceN<5>(target, sources, count, scale, op);
    case 6: return ReduceN<6>(target, sources, count, scale, op);
    case 7: return ReduceN<7>(target, sources, count, scale, op);
    default: return ReduceN<8>(target, sources, count, scale, op);
  }
}

// More than 8 sources go through a block on the stack, 8 at a time: the target
// may be a source that is still to be read.
template <typename T, typename Op>
void ReduceMany(T* target, const T* const* sources, int n, int64_t count, double scale, Op op) {
  if (n <= 8) return ReduceUpTo8(target, sources, n, count, scale, op);
  constexpr int64_t kBlock = 1024;
  alignas(64) T block[kBlock];
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t length = std::min(kBlock, count - begin);
    const T* in[8];
    for (int s = 0; s < 8; ++s) in[s] = sources[s] + begin;
    ReduceUpTo8(block, in, 8, length, 1.0, op);
    for (int s = 8; s < n;) {
      const int more = std::min(7, n - s);
      in[0] = block;
      for (int k = 0; k < more; ++k) in[k + 1] = sources[s + k] + begin;
      s += more;
      ReduceUpTo8(s < n ? block : target + begin, in, more + 1, length, s < n ? 1.0 : scale, op);
    }
  }
}

template <typename T>
void ReduceTyped(ReduceOp op, void* target, const void* const* sources, int n, int64_t count,
                 double scale) {
  T* out = static_cast<T*>(target);
  const T* const* in = reinterpret_cast<const T* const*>(sources);
  switch (op) {
    case ReduceOp::kSum:
    case ReduceOp::kMean: return ReduceMany(out, in, n, count, scale, SumOp());
    case ReduceOp::kMax: return ReduceMany(out, in, n, count, 1.0, MaxOp());
    case ReduceOp::kMin: return ReduceMany(out, in, n, count, 1.0, MinOp());
  }
}

void Reduce(DType dtype, ReduceOp op, void* target, const void* const* sources, int n,
            int64_t count, double scale) {
  switch (dtype) {
    case DType::kFloat32: return ReduceTyped<float>(op, target, sources, n, count, scale);
    case DType::kFloat64: return ReduceTyped<double>(op, target, sources, n, count, scale);
    case DType::kInt32: return ReduceTyped<int32_t>(op, target, sources, n, count, 1.0);
    default: return ReduceTyped<int64_t>(op, target, sources, n, count, 1.0);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary {

HWY_EXPORT(Reduce);

void ReduceSources(DType dtype, ReduceOp op, void* target, const void* const* sources,
                   int num_sources, int64_t count, int64_t mean_divisor) {
  internal::CheckReduce("ReduceSources", {target, count, dtype}, op);
  const double scale = op == ReduceOp::kMean ? 1.0 / static_cast<double>(mean_divisor) : 1.0;
  HWY_DYNAMIC_DISPATCH(Reduce)(dtype, op, target, sources, num_sources, count, scale);
}

}  // namespace tributary
#endif

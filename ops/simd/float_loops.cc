#include "ops/simd/float_loops.h"

#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/simd/float_loops.cc"
#include "core/base/highway_targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/linalg/partial-inl.h"
#include "ops/simd/float_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tributary::simd {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using tributary::HWY_NAMESPACE::LoadPartial;
using tributary::HWY_NAMESPACE::StorePartial;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

#define TRB_DEFINE_UNARY(Name, expression)                                      \
  struct Name##Op {                                                             \
    static HWY_INLINE V Of(V x) { return expression; }                          \
  };
#define TRB_DEFINE_BINARY(Name, expression)                                     \
  struct Name##Op {                                                             \
    static HWY_INLINE V Of(V a, V b) { return expression; }                     \
  };
#include "ops/simd/float_ops.inc"
#undef TRB_DEFINE_UNARY
#undef TRB_DEFINE_BINARY

template <typename Op>
void UnaryLoop(const void* in, void* out, int64_t n) {
  const float* x = static_cast<const float*>(in);
  float* y = static_cast<float*>(out);
  const D d;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) hn::StoreU(Op::Of(hn::LoadU(d, x + i)), d, y + i);
  if (i < n) StorePartial(Op::Of(LoadPartial(d, x + i, n - i)), d, y + i, n - i);
}

// kA, kB: 1 for a vector operand, 0 for a scalar.
template <typename Op, int kA, int kB>
void BinaryLoop(const void* in_a, const void* in_b, void* out, int64_t n) {
  const float* a = static_cast<const float*>(in_a);
  const float* b = static_cast<const float*>(in_b);
  float* y = static_cast<float*>(out);
  const D d;
  const V sa = kA ? hn::Zero(d) : hn::Set(d, *a);
  const V sb = kB ? hn::Zero(d) : hn::Set(d, *b);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const V va = kA ? hn::LoadU(d, a + i) : sa;
    const V vb = kB ? hn::LoadU(d, b + i) : sb;
    hn::StoreU(Op::Of(va, vb), d, y + i);
  }
  if (i == n) return;
  const V va = kA ? LoadPartial(d, a + i, n - i) : sa;
  const V vb = kB ? LoadPartial(d, b + i, n - i) : sb;
  StorePartial(Op::Of(va, vb), d, y + i, n - i);
}

// Four accumulators of 16 floats whatever the vector size is, so that every
// instruction set adds in the same order.
template <typename Op>
float ReduceLoop(const float* x, int64_t n, float identity) {
  const D d;
  constexpr int64_t kWidth = 64;
  HWY_ALIGN float acc[kWidth];
  for (float& a : acc) a = identity;
  int64_t i = 0;
  if (n >= kWidth) {
    constexpr int kVectors = static_cast<int>(kWidth / kLanes);
    V v[kVectors];
    for (int k = 0; k < kVectors; ++k) v[k] = hn::Set(d, identity);
    for (; i + kWidth <= n; i += kWidth) {
      for (int k = 0; k < kVectors; ++k) {
        v[k] = Op::Of(v[k], hn::LoadU(d, x + i + k * kLanes));
      }
    }
    for (int k = 0; k < kVectors; ++k) hn::Store(v[k], d, acc + k * kLanes);
  }
  int64_t k = 0;
  for (; i + kLanes <= n; i += kLanes, k += kLanes) {
    hn::Store(Op::Of(hn::Load(d, acc + k), hn::LoadU(d, x + i)), d, acc + k);
  }
  for (; i < n; ++i, ++k) {
    acc[k] = hn::GetLane(Op::Of(hn::Set(d, acc[k]), hn::Set(d, x[i])));
  }
  int64_t half = kWidth / 2;
  for (; half >= kLanes; half /= 2) {
    for (int64_t j = 0; j < half; j += kLanes) {
      hn::Store(Op::Join(hn::Load(d, acc + j), hn::Load(d, acc + j + half)), d, acc + j);
    }
  }
  for (; half > 0; half /= 2) {
    for (int64_t j = 0; j < half; ++j) acc[j] = Op::Join1(acc[j], acc[j + half]);
  }
  return acc[0];
}

struct SumReduce {
  static HWY_INLINE V Of(V acc, V x) { return hn::Add(acc, x); }
  static HWY_INLINE V Join(V a, V b) { return hn::Add(a, b); }
  static float Join1(float a, float b) { return a + b; }
};
struct SquaresReduce : SumReduce {
  static HWY_INLINE V Of(V acc, V x) { return hn::MulAdd(x, x, acc); }
};
struct MaxReduce {
  static HWY_INLINE V Of(V acc, V x) { return MaximumOp::Of(acc, x); }
  static HWY_INLINE V Join(V a, V b) { return Of(a, b); }
  static float Join1(float a, float b) { return a != a || a > b ? a : b; }
};
struct MinReduce {
  static HWY_INLINE V Of(V acc, V x) { return MinimumOp::Of(acc, x); }
  static HWY_INLINE V Join(V a, V b) { return Of(a, b); }
  static float Join1(float a, float b) { return a != a || a < b ? a : b; }
};

constexpr float kInf = std::numeric_limits<float>::infinity();
float SumOf(const float* x, int64_t n) { return ReduceLoop<SumReduce>(x, n, 0); }
float SquaresOf(const float* x, int64_t n) { return ReduceLoop<SquaresReduce>(x, n, 0); }
float MaxOf(const float* x, int64_t n) { return ReduceLoop<MaxReduce>(x, n, -kInf); }
float MinOf(const float* x, int64_t n) { return ReduceLoop<MinReduce>(x, n, kInf); }

UnaryFn UnaryNamed(std::string_view op) {
#define TRB_DEFINE_UNARY(Name, expression) \
  if (op == #Name) return &UnaryLoop<Name##Op>;
#define TRB_DEFINE_BINARY(Name, expression)
#include "ops/simd/float_ops.inc"
#undef TRB_DEFINE_UNARY
#undef TRB_DEFINE_BINARY
  return nullptr;
}

BinaryFns BinaryNamed(std::string_view op) {
#define TRB_DEFINE_UNARY(Name, expression)
#define TRB_DEFINE_BINARY(Name, expression)                                        \
  if (op == #Name) {                                                               \
    return {&BinaryLoop<Name##Op, 1, 1>, &BinaryLoop<Name##Op, 1, 0>,              \
            &BinaryLoop<Name##Op, 0, 1>};                                          \
  }
#include "ops/simd/float_ops.inc"
#undef TRB_DEFINE_UNARY
#undef TRB_DEFINE_BINARY
  return {};
}

ReduceFns ReductionsHere() { return {&SumOf, &SquaresOf, &MaxOf, &MinOf}; }

}  // namespace HWY_NAMESPACE
}  // namespace tributary::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tributary::simd {

HWY_EXPORT(UnaryNamed);
HWY_EXPORT(BinaryNamed);
HWY_EXPORT(ReductionsHere);

UnaryFn FindUnary(std::string_view op) { return HWY_DYNAMIC_DISPATCH(UnaryNamed)(op); }
BinaryFns FindBinary(std::string_view op) { return HWY_DYNAMIC_DISPATCH(BinaryNamed)(op); }
const ReduceFns& Reductions() {
  static const ReduceFns functions = HWY_DYNAMIC_DISPATCH(ReductionsHere)();
  return functions;
}

}  // namespace tributary::simd
#endif

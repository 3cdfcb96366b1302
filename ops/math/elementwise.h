#pragma once
// Kernels of elementwise ops from a formula, for every element type. float32 uses the
// vector loop of that name where ops/simd has one.

#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "ops/math/broadcast.h"
#include "ops/math/number.h"
#include "ops/simd/float_loops.h"

namespace tributary {

template <typename Fn, typename T>
void UnaryLoop(const void* in, void* out, int64_t n) {
  const T* x = static_cast<const T*>(in);
  T* y = static_cast<T*>(out);
  for (int64_t i = 0; i < n; ++i) y[i] = T(Fn()(Load(x[i])));
}

// Output: T, or bool for a predicate.
template <typename Fn, typename T, typename Out, int kA, int kB>
void BinaryLoop(const void* in_a, const void* in_b, void* out, int64_t n) {
  const T* a = static_cast<const T*>(in_a);
  const T* b = static_cast<const T*>(in_b);
  Out* y = static_cast<Out*>(out);
  // The scalar is read first: y may be an operand of one element.
  const T first_a = n ? a[0] : T{}, first_b = n ? b[0] : T{};
  for (int64_t i = 0; i < n; ++i) {
    y[i] = Out(Fn()(Load(kA ? a[i] : first_a), Load(kB ? b[i] : first_b)));
  }
}

// A kernel that applies `loop` to all elements of input 0.
std::unique_ptr<Kernel> MakeUnaryKernel(PrepareContext& c, simd::UnaryFn loop);

// Kernel factories. kNumbers: integers too.
template <typename Fn, bool kNumbers>
std::unique_ptr<Kernel> MakeUnary(PrepareContext& c) {
  if (c.in_dtype(0) == DType::kFloat32) {
    if (const auto loop = simd::FindUnary(c.op())) return MakeUnaryKernel(c, loop);
  }
  const auto make = [&](auto zero) {
    return MakeUnaryKernel(c, &UnaryLoop<Fn, decltype(zero)>);
  };
  if constexpr (kNumbers) {
    return DispatchNumber(c.in_dtype(0), c.op().c_str(), make);
  } else {
    return DispatchFloat(c.in_dtype(0), c.op().c_str(), make);
  }
}

template <typename Fn, typename T, typename Out>
constexpr simd::BinaryFns LoopsOf() {
  return {&BinaryLoop<Fn, T, Out, 1, 1>, &BinaryLoop<Fn, T, Out, 1, 0>,
          &BinaryLoop<Fn, T, Out, 0, 1>};
}

template <typename Fn, bool kNumbers>
std::unique_ptr<Kernel> MakeBinary(PrepareContext& c) {
  if (c.in_dtype(0) == DType::kFloat32) {
    if (const auto loops = simd::FindBinary(c.op()); loops.vector_vector) {
      return MakeBroadcastKernel(c, loops);
    }
  }
  const auto make = [&](auto zero) {
    using T = decltype(zero);
    return MakeBroadcastKernel(c, LoopsOf<Fn, T, T>());
  };
  if constexpr (kNumbers) {
    return DispatchNumber(c.in_dtype(0), c.op().c_str(), make);
  } else {
    return DispatchFloat(c.in_dtype(0), c.op().c_str(), make);
  }
}

}  // namespace tributary

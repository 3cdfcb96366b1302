#pragma once
// Vector loops over float32 arrays, by the name of the op that they compute. The
// instruction set is chosen at run time, once. Nothing here starts threads.

#include <cstdint>
#include <string_view>

namespace tributary::simd {

// y[i] = f(x[i]) for n elements; y may be x. Untyped as all elementwise loops are;
// those found here take floats.
using UnaryFn = void (*)(const void* x, void* y, int64_t n);
// y[i] = f(a[i], b[i]), with a scalar first or second operand in the other forms; y
// may be an operand.
using BinaryFn = void (*)(const void* a, const void* b, void* y, int64_t n);
struct BinaryFns {
  BinaryFn vector_vector = nullptr, vector_scalar = nullptr, scalar_vector = nullptr;
};

// "Exp", "Tanh", ... ; null when there is no vector form.
UnaryFn FindUnary(std::string_view op);
// "AddV2", "TanhGrad", ...; null members when there is no vector form.
BinaryFns FindBinary(std::string_view op);

// Sum, largest, smallest of n floats; the order of additions depends on n alone.
// NaN comes through.
using ReduceFn = float (*)(const float* x, int64_t n);
struct ReduceFns {
  ReduceFn sum, sum_of_squares, max, min;
};
const ReduceFns& Reductions();

}  // namespace tributary::simd

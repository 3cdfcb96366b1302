#pragma once
// Arithmetic on element types in kernels: half and bfloat16 compute through float,
// integers wrap instead of being undefined.

#include <type_traits>
#include <vector>

#include "core/tensor/dtype.h"

namespace tributary {

template <typename T>
inline constexpr bool kIsSmallFloat = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
template <typename T>
inline constexpr bool kIsFloat = kIsSmallFloat<T> || std::is_floating_point_v<T>;

// The type in which T is computed.
template <typename T>
using ComputeType = std::conditional_t<kIsSmallFloat<T>, float, T>;
// The type in which sums and products of many T are kept: narrowed to T once, at the end.
template <typename T>
using TotalType = std::conditional_t<std::is_integral_v<T>, int64_t, ComputeType<T>>;

template <typename T>
ComputeType<T> Load(T x) {
  return static_cast<ComputeType<T>>(x);
}

template <typename T>
T Wrap(std::type_identity_t<T> a, std::type_identity_t<T> b, auto fn) {
  using U = std::make_unsigned_t<T>;
  // At least 32 bits: a promoted unsigned short would multiply as int.
  using W = std::conditional_t<(sizeof(U) < 4), uint32_t, U>;
  return static_cast<T>(fn(static_cast<W>(a), static_cast<W>(b)));
}

#define TRB_ARITHMETIC(Name, symbol)                                           \
  template <typename T>                                                        \
  T Name(T a, T b) {                                                           \
    if constexpr (std::is_integral_v<T>) {                                     \
      return Wrap<T>(a, b, [](auto x, auto y) { return x symbol y; });         \
    } else {                                                                   \
      return T(Load(a) symbol Load(b));                                        \
    }                                                                          \
  }
TRB_ARITHMETIC(Add, +)
TRB_ARITHMETIC(Sub, -)
TRB_ARITHMETIC(Mul, *)
#undef TRB_ARITHMETIC

// For REGISTER_KERNEL.
inline std::vector<DType> FloatTypes() {
  return {DType::kFloat32, DType::kFloat64, DType::kHalf, DType::kBFloat16};
}
inline std::vector<DType> NumberTypes() {
  return {DType::kFloat32, DType::kFloat64, DType::kHalf,  DType::kBFloat16, DType::kInt8,
          DType::kInt16,   DType::kInt32,   DType::kInt64, DType::kUint8};
}

// Calls fn(T{}) for the dtypes that arithmetic is defined on. Throws
// UnimplementedError naming `what` for the others.
template <typename Fn>
auto DispatchNumber(DType dtype, const char* what, Fn&& fn) {
  switch (dtype) {
    case DType::kFloat32: return fn(float{});
    case DType::kFloat64: return fn(double{});
    case DType::kHalf: return fn(Half{});
    case DType::kBFloat16: return fn(BFloat16{});
    case DType::kInt8: return fn(int8_t{});
    case DType::kInt16: return fn(int16_t{});
    case DType::kInt32: return fn(int32_t{});
    case DType::kInt64: return fn(int64_t{});
    case DType::kUint8: return fn(uint8_t{});
    default:
      throw UnimplementedError("[{}] dtype {} is not supported", what, DTypeName(dtype));
  }
}

template <typename Fn>
auto DispatchFloat(DType dtype, const char* what, Fn&& fn) {
  switch (dtype) {
    case DType::kFloat32: return fn(float{});
    case DType::kFloat64: return fn(double{});
    case DType::kHalf: return fn(Half{});
    case DType::kBFloat16: return fn(BFloat16{});
    default:
      throw UnimplementedError("[{}] dtype {} is not supported", what, DTypeName(dtype));
  }
}

// int32 or int64: indices, axes, shapes.
template <typename Fn>
auto DispatchIndex(DType dtype, const char* what, Fn&& fn) {
  switch (dtype) {
    case DType::kInt32: return fn(int32_t{});
    case DType::kInt64: return fn(int64_t{});
    default:
      throw UnimplementedError("[{}] dtype {} is not an index type; expected int32 or int64",
                               what, DTypeName(dtype));
  }
}

}  // namespace tributary

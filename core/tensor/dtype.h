#pragma once
// Element types. Values are TensorFlow's DataType (types.proto), because they
// are written into checkpoints and GraphDefs as they are.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/errors.h"

namespace tributary {

enum class DType : int32_t {
  kInvalid = 0,
  kFloat32 = 1,
  kFloat64 = 2,
  kInt32 = 3,
  kUint8 = 4,
  kInt16 = 5,
  kInt8 = 6,
  kString = 7,
  kInt64 = 9,
  kBool = 10,
  kBFloat16 = 14,
  kHalf = 19,
  kResource = 20,
};

// IEEE binary16, storage only: arithmetic goes through float.
struct Half {
  uint16_t bits = 0;
  Half() = default;
  explicit Half(float value);
  explicit operator float() const;
  bool operator==(const Half&) const = default;
};

// The upper half of a float, rounded to nearest even.
struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  explicit BFloat16(float value);
  explicit operator float() const;
  bool operator==(const BFloat16&) const = default;
};

// Bytes of one element; std::string and resource handles are held as objects.
size_t DTypeSize(DType dtype);
// "float32", "int64", "string", ... (tf.DType.name).
const char* DTypeName(DType dtype);
// "DT_FLOAT", ... (types.proto).
const char* DTypeProtoName(DType dtype);
// Accepts both spellings. Throws InvalidArgumentError with the nearest name.
DType ParseDType(std::string_view name);
bool IsFloating(DType dtype);
bool IsInteger(DType dtype);
// Trivially copyable elements: everything but strings and resources.
bool IsPlain(DType dtype);

template <typename T>
struct DTypeOf;
#define TRB_DTYPE(type, value) \
  template <>                  \
  struct DTypeOf<type> {       \
    static constexpr DType kValue = DType::value; \
  }
TRB_DTYPE(float, kFloat32);
TRB_DTYPE(double, kFloat64);
TRB_DTYPE(Half, kHalf);
TRB_DTYPE(BFloat16, kBFloat16);
TRB_DTYPE(int8_t, kInt8);
TRB_DTYPE(int16_t, kInt16);
TRB_DTYPE(int32_t, kInt32);
TRB_DTYPE(int64_t, kInt64);
TRB_DTYPE(uint8_t, kUint8);
TRB_DTYPE(bool, kBool);
TRB_DTYPE(std::string, kString);
#undef TRB_DTYPE

template <typename T>
inline constexpr DType kDTypeOf = DTypeOf<T>::kValue;

// Calls fn(T{}) with the C++ type of a plain dtype. Throws UnimplementedError
// naming `what` for strings and resources.
template <typename Fn>
auto DispatchPlain(DType dtype, const char* what, Fn&& fn) {
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
    case DType::kBool: return fn(bool{});
    default:
      throw UnimplementedError("[{}] dtype {} is not supported", what, DTypeName(dtype));
  }
}

}  // namespace tributary

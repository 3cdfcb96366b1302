#include "core/tensor/dtype.h"

#include "core/base/strings.h"

namespace tributary {
namespace {

struct Row {
  DType dtype;
  size_t size;
  const char* name;
  const char* proto_name;
};

constexpr Row kRows[] = {
    {DType::kInvalid, 0, "invalid", "DT_INVALID"},
    {DType::kFloat32, 4, "float32", "DT_FLOAT"},
    {DType::kFloat64, 8, "float64", "DT_DOUBLE"},
    {DType::kInt32, 4, "int32", "DT_INT32"},
    {DType::kUint8, 1, "uint8", "DT_UINT8"},
    {DType::kInt16, 2, "int16", "DT_INT16"},
    {DType::kInt8, 1, "int8", "DT_INT8"},
    {DType::kString, sizeof(std::string), "string", "DT_STRING"},
    {DType::kInt64, 8, "int64", "DT_INT64"},
    {DType::kBool, 1, "bool", "DT_BOOL"},
    {DType::kBFloat16, 2, "bfloat16", "DT_BFLOAT16"},
    {DType::kHalf, 2, "float16", "DT_HALF"},
    {DType::kResource, 16, "resource", "DT_RESOURCE"},
};

const Row& RowOf(DType dtype) {
  for (const Row& row : kRows) {
    if (row.dtype == dtype) return row;
  }
  return kRows[0];
}

}  // namespace

// _Float16 does not exist in GCC 12's C++, so the conversions are spelled out.
Half::Half(float value) {
  const uint32_t f = __builtin_bit_cast(uint32_t, value);
  const uint32_t sign = (f >> 16) & 0x8000u;
  const uint32_t magnitude = f & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {  // NaN
    bits = static_cast<uint16_t>(sign | 0x7e00u);
  } else if (magnitude >= 0x477ff000u) {  // rounds to infinity
    bits = static_cast<uint16_t>(sign | 0x7c00u);
  } else if (magnitude < 0x38800000u) {  // subnormal or zero
    const float scaled = __builtin_bit_cast(float, magnitude) * 16777216.0f;
    bits = static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyintf(scaled)));
  } else {
    const uint32_t rebased = magnitude - 0x38000000u;
    const uint32_t rounded = rebased + 0xfffu + ((rebased >> 13) & 1u);
    bits = static_cast<uint16_t>(sign | (rounded >> 13));
  }
}

Half::operator float() const {
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0) {
    const float value = static_cast<float>(mantissa) / 16777216.0f;
    return sign ? -value : value;
  }
  const uint32_t rebased = exponent == 31 ? 0xffu : exponent + 112;
  return __builtin_bit_cast(float, sign | (rebased << 23) | (mantissa << 13));
}

BFloat16::BFloat16(float value) {
  const uint32_t f = __builtin_bit_cast(uint32_t, value);
  if (value != value) {
    bits = static_cast<uint16_t>((f >> 16) | 0x40u);
  } else {
    bits = static_cast<uint16_t>((f + 0x7fffu + ((f >> 16) & 1u)) >> 16);
  }
}

BFloat16::operator float() const {
  return __builtin_bit_cast(float, uint32_t{bits} << 16);
}

size_t DTypeSize(DType dtype) { return RowOf(dtype).size; }
const char* DTypeName(DType dtype) { return RowOf(dtype).name; }
const char* DTypeProtoName(DType dtype) { return RowOf(dtype).proto_name; }

DType ParseDType(std::string_view name) {
  std::vector<std::string> names;
  for (const Row& row : kRows) {
    if (row.dtype == DType::kInvalid) continue;
    if (name == row.name || name == row.proto_name) return row.dtype;
    names.push_back(row.name);
  }
  if (name == "float") return DType::kFloat32;
  if (name == "double") return DType::kFloat64;
  if (name == "half") return DType::kHalf;
  throw InvalidArgumentError("[dtype] '{}' is not a dtype{} (known: {})", name,
                             DidYouMean(name, names), Join(names, ", "));
}

bool IsFloating(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 ||
         dtype == DType::kHalf || dtype == DType::kBFloat16;
}

bool IsInteger(DType dtype) {
  return dtype == DType::kInt8 || dtype == DType::kInt16 || dtype == DType::kInt32 ||
         dtype == DType::kInt64 || dtype == DType::kUint8;
}

bool IsPlain(DType dtype) {
  return dtype != DType::kInvalid && dtype != DType::kString && dtype != DType::kResource;
}

}  // namespace tributary

#include "core/tensor/proto.h"

#include "core/base/checked.h"
#include "core/io/coding.h"
#include "core/proto/tensor.pb.h"

namespace tributary {
namespace {

constexpr int kMaxRank = 254;
// A short list of values may stand for many elements; no constant needs more.
constexpr int64_t kMaxRepeated = int64_t{1} << 28;

DType CheckedDType(int value) {
  const auto dtype = static_cast<DType>(value);
  if (IsPlain(dtype) && DTypeSize(dtype) > 0) return dtype;
  if (dtype == DType::kString) return dtype;
  throw UnimplementedError("[TensorProto] dtype {} ({}) is not supported", value,
                           proto::DataType_Name(static_cast<proto::DataType>(value)));
}

[[noreturn]] void WrongCount(const Shape& shape, int64_t expected, int64_t got) {
  throw InvalidArgumentError("[TensorProto] shape {} needs {} values, got {}", shape.ToString(),
                             expected, got);
}

template <typename T, typename Field, typename Convert>
void FillFrom(const Field& values, const Tensor& tensor, const Convert& convert) {
  const int64_t count = tensor.NumElements();
  if (values.size() > count || (values.size() == 0 && count > 0)) {
    WrongCount(tensor.shape(), count, values.size());
  }
  T* data = tensor.mutable_data<T>();
  for (int64_t i = 0; i < count; ++i) {
    data[i] = convert(values.Get(static_cast<int>(std::min<int64_t>(i, values.size() - 1))));
  }
}

template <typename T, typename Field>
void FillFrom(const Field& values, const Tensor& tensor) {
  FillFrom<T>(values, tensor, [](const auto& v) { return static_cast<T>(v); });
}

template <typename T>
T FromBits(int32_t bits) {
  T value;
  value.bits = static_cast<uint16_t>(bits);
  return value;
}

void FillFromValues(const proto::TensorProto& in, const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::kFloat32: return FillFrom<float>(in.float_val(), tensor);
    case DType::kFloat64: return FillFrom<double>(in.double_val(), tensor);
    case DType::kHalf: return FillFrom<Half>(in.half_val(), tensor, FromBits<Half>);
    case DType::kBFloat16: return FillFrom<BFloat16>(in.half_val(), tensor, FromBits<BFloat16>);
    case DType::kInt8: return FillFrom<int8_t>(in.int_val(), tensor);
    case DType::kInt16: return FillFrom<int16_t>(in.int_val(), tensor);
    case DType::kInt32: return FillFrom<int32_t>(in.int_val(), tensor);
    case DType::kUint8: return FillFrom<uint8_t>(in.int_val(), tensor);
    case DType::kInt64: return FillFrom<int64_t>(in.int64_val(), tensor);
    case DType::kBool: return FillFrom<bool>(in.bool_val(), tensor);
    default: return FillFrom<std::string>(in.string_val(), tensor);
  }
}

bool HasValues(const proto::TensorProto& in) {
  return in.float_val_size() + in.double_val_size() + in.int_val_size() + in.string_val_size() +
             in.int64_val_size() + in.bool_val_size() + in.half_val_size() >
         0;
}

}  // namespace

void ShapeToProto(const Shape& shape, proto::TensorShapeProto* out) {
  out->Clear();
  out->set_unknown_rank(shape.unknown_rank());
  for (const int64_t size : shape.dims()) out->add_dim()->set_size(size);
}

Shape ShapeFromProto(const proto::TensorShapeProto& in) {
  if (in.unknown_rank()) return Shape::UnknownRank();
  if (in.dim_size() > kMaxRank) {
    throw InvalidArgumentError("[TensorShapeProto] expected at most {} dimensions, got {}",
                               kMaxRank, in.dim_size());
  }
  std::vector<int64_t> dims;
  for (const auto& dim : in.dim()) dims.push_back(dim.size());
  return Shape(std::move(dims));
}

void TensorToProto(const Tensor& tensor, proto::TensorProto* out) {
  out->Clear();
  out->set_dtype(static_cast<proto::DataType>(tensor.dtype()));
  ShapeToProto(tensor.shape(), out->mutable_tensor_shape());
  if (tensor.dtype() == DType::kString) {
    for (const std::string& value : tensor.values<std::string>()) out->add_string_val(value);
  } else if (IsPlain(tensor.dtype())) {
    out->set_tensor_content(tensor.raw_data(), tensor.bytes());
  } else {
    throw UnimplementedError("[TensorProto] a {} tensor has no message form",
                             DTypeName(tensor.dtype()));
  }
}

Tensor TensorFromProto(const proto::TensorProto& in) {
  const DType dtype = CheckedDType(in.dtype());
  const Shape shape = ShapeFromProto(in.tensor_shape());
  const int64_t count = shape.NumElements();
  if (!in.tensor_content().empty()) {
    const int64_t bytes = CheckedMul(count, DTypeSize(dtype), "TensorProto");
    const auto got = static_cast<int64_t>(in.tensor_content().size());
    if (dtype == DType::kString || bytes != got) WrongCount(shape, bytes, got);
    Tensor tensor = Tensor::Empty(dtype, shape);
    std::memcpy(tensor.raw_data(), in.tensor_content().data(), bytes);
    if (dtype == DType::kBool) NormalizeBools(tensor.raw_data(), bytes);
    return tensor;
  }
  if (count > kMaxRepeated) WrongCount(shape, kMaxRepeated, count);
  if (!HasValues(in)) {
    if (dtype == DType::kString && count > 0) WrongCount(shape, count, 0);
    return Tensor::Zeros(dtype, shape);  // proto3 leaves out what is zero
  }
  Tensor tensor = Tensor::Empty(dtype, shape);
  FillFromValues(in, tensor);
  return tensor;
}

}  // namespace tributary

#pragma once
// Tensors, shapes and dtypes as TensorFlow's messages and back
// (core/proto/tensor.proto).

#include "core/tensor/tensor.h"

namespace tributary {

namespace proto {
class TensorProto;
class TensorShapeProto;
}  // namespace proto

void ShapeToProto(const Shape& shape, proto::TensorShapeProto* out);
// Unknown rank and unknown dimensions are kept. Throws InvalidArgumentError for
// a dimension below -1 or more than 254 of them.
Shape ShapeFromProto(const proto::TensorShapeProto& in);

// Plain dtypes go into tensor_content (small tensors too: what TensorBoard and
// TensorFlow read either way), strings into string_val.
void TensorToProto(const Tensor& tensor, proto::TensorProto* out);
// Understands tensor_content and every *_val field; fewer values than the shape
// holds repeat the last one. Throws InvalidArgumentError when values and shape
// disagree, UnimplementedError for dtypes that Tributary does not have.
Tensor TensorFromProto(const proto::TensorProto& in);

}  // namespace tributary

#pragma once
// Tensor: a cheap handle to a value (dtype, shape, shared memory), or a
// *symbolic* name for the output of a graph node. Op builders take both.
//
// Values are immutable to their users; the engine writes through
// mutable_data(). Views (Slice, Reshaped) alias their source. Copying a Tensor
// copies the handle. A handle is not synchronised; distinct handles may be used
// from distinct threads.

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/tensor/buffer.h"
#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace tributary {

class Node;
class Variable;

// What is known of a tensor before it has a value. For a resource handle,
// `shape` and `handle_dtype` describe the variable behind it.
struct TensorSpec {
  DType dtype = DType::kInvalid;
  Shape shape;
  DType handle_dtype = DType::kInvalid;

  // The dtype of the data that kernels see: handle_dtype for resources.
  DType data_dtype() const { return dtype == DType::kResource ? handle_dtype : dtype; }
  bool operator==(const TensorSpec&) const = default;
  // "float32 (2, 3)".
  std::string ToString() const;
};

class Tensor {
 public:
  // Undefined: neither a value nor a name.
  Tensor() = default;

  // A scalar from a C++ number: lets builders be called as Mul(x, 2.0f).
  Tensor(float value);
  Tensor(double value);
  Tensor(int32_t value);
  Tensor(int64_t value);
  Tensor(bool value);
  Tensor(const char* value);
  Tensor(const std::string& value);

  // Views of existing memory; throws InvalidArgumentError when the buffer is
  // too small for the shape.
  Tensor(DType dtype, Shape shape, std::shared_ptr<Buffer> buffer, size_t byte_offset = 0);

  // Uninitialised (strings: empty).
  static Tensor Empty(DType dtype, const Shape& shape, Allocator* allocator = CpuAllocator());
  static Tensor Zeros(DType dtype, const Shape& shape);
  template <typename T>
  static Tensor Full(const Shape& shape, const T& value);
  template <typename T>
  static Tensor Scalar(const T& value) {
    return Full<T>(Shape{}, value);
  }
  // Row-major values. Throws InvalidArgumentError when the count differs.
  template <typename T>
  static Tensor FromVector(const std::vector<T>& values, const Shape& shape);
  template <typename T>
  static Tensor FromVector(const std::vector<T>& values) {
    return FromVector(values, Shape{static_cast<int64_t>(values.size())});
  }
  // A handle to a variable (DT_RESOURCE).
  static Tensor Resource(std::shared_ptr<Variable> variable);
  // Output `index` of a node.
  static Tensor Symbolic(Node* node, int index);

  bool defined() const { return buffer_ != nullptr || node_ != nullptr; }
  bool IsSymbolic() const { return node_ != nullptr; }
  Node* node() const { return node_; }
  int index() const { return index_; }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int axis) const { return shape_.dim(axis); }
  int64_t NumElements() const { return shape_.NumElements(); }
  // NumElements x element size. Zero for undefined tensors.
  size_t bytes() const;
  // Includes handle_dtype for resources, symbolic or not.
  TensorSpec spec() const;

  // Typed access to a value. Throws InvalidArgumentError naming both dtypes
  // when T does not match, FailedPreconditionError for symbolic tensors.
  template <typename T>
  const T* data() const {
    CheckAccess(kDTypeOf<T>);
    return static_cast<const T*>(raw_data());
  }
  template <typename T>
  T* mutable_data() const {
    CheckAccess(kDTypeOf<T>);
    return static_cast<T*>(raw_data());
  }
  template <typename T>
  std::span<const T> values() const {
    return {data<T>(), static_cast<size_t>(NumElements())};
  }
  template <typename T>
  std::vector<T> ToVector() const {
    const auto v = values<T>();
    return {v.begin(), v.end()};
  }
  // The only element of a one-element tensor.
  template <typename T>
  T item() const {
    CheckSingle();
    return *data<T>();
  }
  void* raw_data() const;
  const std::shared_ptr<Buffer>& buffer() const { return buffer_; }
  size_t byte_offset() const { return offset_; }
  // The variable behind a concrete DT_RESOURCE tensor.
  std::shared_ptr<Variable> resource() const;

  // Identity of a value for the gradient tape: copies of a handle share it, views
  // have their own.
  uint64_t id() const { return id_; }

  // Rows [begin, end) along axis 0: a view. Throws InvalidArgumentError.
  Tensor Slice(int64_t begin, int64_t end) const;
  // Same elements, other shape (one -1 allowed): a view.
  Tensor Reshaped(const Shape& shape) const;
  // A deep copy.
  Tensor Clone() const;

  // As TensorFlow prints: `tf.Tensor([1. 2.], shape=(2,), dtype=float32)`.
  std::string ToString() const;

 private:
  void CheckAccess(DType wanted) const;
  void CheckSingle() const;

  DType dtype_ = DType::kInvalid;
  Shape shape_;
  std::shared_ptr<Buffer> buffer_;
  size_t offset_ = 0;  // bytes
  Node* node_ = nullptr;
  int index_ = 0;
  uint64_t id_ = 0;
};

// Plain bytes (or strings) from one tensor to another of equal dtype and size.
void CopyTensor(const Tensor& from, const Tensor& to);

template <typename T>
Tensor Tensor::Full(const Shape& shape, const T& value) {
  Tensor t = Empty(kDTypeOf<T>, shape);
  std::fill_n(t.mutable_data<T>(), t.NumElements(), value);
  return t;
}

template <typename T>
Tensor Tensor::FromVector(const std::vector<T>& values, const Shape& shape) {
  if (shape.NumElements() != static_cast<int64_t>(values.size())) {
    throw InvalidArgumentError("[Tensor] {} values do not fill shape {}", values.size(),
                               shape.ToString());
  }
  Tensor t = Empty(kDTypeOf<T>, shape);
  std::copy(values.begin(), values.end(), t.mutable_data<T>());
  return t;
}

}  // namespace tributary

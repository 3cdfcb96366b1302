#include "core/tensor/tensor.h"

#include "core/base/checked.h"
#include "core/graph/node.h"
#include "core/runtime/variable.h"

namespace tributary {
namespace {

// Holds the variable that a resource handle names.
class ResourceBuffer final : public Buffer {
 public:
  explicit ResourceBuffer(std::shared_ptr<Variable> variable)
      : Buffer(nullptr, 0), variable_(std::move(variable)) {
    data_ = &variable_;
    bytes_ = sizeof(variable_);
  }

 private:
  std::shared_ptr<Variable> variable_;
};

// Above every address, so that ids and addresses of variables never meet.
uint64_t NextId() {
  static std::atomic<uint64_t> next{uint64_t{1} << 56};
  return next.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

std::string TensorSpec::ToString() const {
  if (dtype == DType::kResource) {
    return fmt::format("resource<{} {}>", DTypeName(handle_dtype), shape.ToString());
  }
  return fmt::format("{} {}", DTypeName(dtype), shape.ToString());
}

Tensor::Tensor(float value) : Tensor(Scalar(value)) {}
Tensor::Tensor(double value) : Tensor(Scalar(value)) {}
Tensor::Tensor(int32_t value) : Tensor(Scalar(value)) {}
Tensor::Tensor(int64_t value) : Tensor(Scalar(value)) {}
Tensor::Tensor(bool value) : Tensor(Scalar(value)) {}
Tensor::Tensor(const char* value) : Tensor(Scalar(std::string(value))) {}
Tensor::Tensor(const std::string& value) : Tensor(Scalar(value)) {}

Tensor::Tensor(DType dtype, Shape shape, std::shared_ptr<Buffer> buffer, size_t byte_offset)
    : dtype_(dtype), shape_(std::move(shape)), buffer_(std::move(buffer)), offset_(byte_offset),
      id_(NextId()) {
  const int64_t needed = CheckedMul(shape_.NumElements(), DTypeSize(dtype_), "Tensor");
  const int64_t end = CheckedAdd(needed, static_cast<int64_t>(offset_), "Tensor");
  if (!buffer_ || end > static_cast<int64_t>(buffer_->bytes())) {
    throw InvalidArgumentError("[Tensor] {} at byte {} needs {} bytes, the buffer has {}",
                               spec().ToString(), offset_, needed,
                               buffer_ ? buffer_->bytes() : 0);
  }
}

Tensor Tensor::Empty(DType dtype, const Shape& shape, Allocator* allocator) {
  const int64_t count = shape.NumElements();
  if (dtype == DType::kString) return Tensor(dtype, shape, Buffer::Strings(count));
  if (!IsPlain(dtype)) {
    throw InvalidArgumentError("[Tensor] can't allocate a {} tensor", DTypeName(dtype));
  }
  const int64_t bytes = CheckedMul(count, DTypeSize(dtype), "Tensor");
  return Tensor(dtype, shape, Buffer::Allocate(bytes, allocator));
}

Tensor Tensor::Zeros(DType dtype, const Shape& shape) {
  Tensor t = Empty(dtype, shape);
  if (IsPlain(dtype) && t.bytes()) std::memset(t.raw_data(), 0, t.bytes());
  return t;
}

Tensor Tensor::Resource(std::shared_ptr<Variable> variable) {
  Tensor t;
  t.dtype_ = DType::kResource;
  t.buffer_ = std::make_shared<ResourceBuffer>(std::move(variable));
  return t;
}

Tensor Tensor::Symbolic(Node* node, int index) {
  Tensor t;
  t.node_ = node;
  t.index_ = index;
  const TensorSpec& spec = node->output(index);
  t.dtype_ = spec.dtype;
  t.shape_ = spec.dtype == DType::kResource ? Shape{} : spec.shape;
  return t;
}

size_t Tensor::bytes() const {
  return defined() ? shape_.NumElements() * DTypeSize(dtype_) : 0;
}

TensorSpec Tensor::spec() const {
  if (node_) return node_->output(index_);
  if (dtype_ == DType::kResource) {
    const auto variable = resource();
    return {dtype_, variable->shape(), variable->dtype()};
  }
  return {dtype_, shape_, DType::kInvalid};
}

void* Tensor::raw_data() const {
  if (!buffer_) {
    if (node_) {
      throw FailedPreconditionError("[Tensor] {}:{} is symbolic and has no value; run the "
                                    "function or session that computes it",
                                    node_->name(), index_);
    }
    throw FailedPreconditionError("[Tensor] an undefined tensor has no value");
  }
  return static_cast<char*>(buffer_->data()) + offset_;
}

std::shared_ptr<Variable> Tensor::resource() const {
  if (dtype_ != DType::kResource || !buffer_) {
    throw InvalidArgumentError("[Tensor] expected a resource handle with a value, got {}",
                               DTypeName(dtype_));
  }
  return *static_cast<std::shared_ptr<Variable>*>(buffer_->data());
}

Tensor Tensor::Slice(int64_t begin, int64_t end) const {
  if (rank() < 1 || begin < 0 || end < begin || end > shape_[0]) {
    throw InvalidArgumentError("[Tensor] rows [{}, {}) are not in shape {}", begin, end,
                               shape_.ToString());
  }
  Shape shape = shape_;
  shape.set_dim(0, end - begin);
  const size_t row = shape_[0] ? bytes() / shape_[0] : 0;
  return Tensor(dtype_, shape, buffer_, offset_ + begin * row);
}

Tensor Tensor::Reshaped(const Shape& wanted) const {
  Shape shape = wanted;
  int unknown = -1;
  bool zero = false;
  int64_t known = 1;  // of the dimensions that are not 0
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] > 0) {
      known = CheckedMul(known, shape[i], "Reshape");
    } else if (shape[i] == 0) {
      zero = true;
    } else if (unknown >= 0) {
      throw InvalidArgumentError("[Reshape] {} has more than one -1", wanted.ToString());
    } else {
      unknown = i;
    }
  }
  if (unknown >= 0) {
    // Beside a 0 any -1 would do: it is what the dimensions other than 0 leave, as in
    // TensorFlow.
    int64_t shared = 1;
    for (const int64_t d : shape_.dims()) {
      if (d > 0 || !zero) shared = CheckedMul(shared, d, "Reshape");
    }
    shape.set_dim(unknown, shared / known);
  }
  if (shape.NumElements() != NumElements()) {
    throw InvalidArgumentError("[Reshape] {} elements of shape {} do not fit shape {}",
                               NumElements(), shape_.ToString(), wanted.ToString());
  }
  raw_data();
  return Tensor(dtype_, shape, buffer_, offset_);
}

Tensor Tensor::Clone() const {
  Tensor copy = Empty(dtype_, shape_);
  CopyTensor(*this, copy);
  return copy;
}

void Tensor::CheckAccess(DType wanted) const {
  if (wanted != dtype_) {
    throw InvalidArgumentError("[Tensor] read as {}, but its dtype is {}; convert with cast",
                               DTypeName(wanted), DTypeName(dtype_));
  }
}

void Tensor::CheckSingle() const {
  if (NumElements() != 1) {
    throw InvalidArgumentError("[Tensor] item() needs one element, shape is {}",
                               shape_.ToString());
  }
}

void CopyTensor(const Tensor& from, const Tensor& to) {
  if (from.dtype() != to.dtype() || from.NumElements() != to.NumElements()) {
    throw InvalidArgumentError("[copy] {} does not fit {}", from.spec().ToString(),
                               to.spec().ToString());
  }
  if (from.dtype() == DType::kString) {
    std::copy_n(from.data<std::string>(), from.NumElements(), to.mutable_data<std::string>());
  } else if (from.bytes()) {
    std::memmove(to.raw_data(), from.raw_data(), from.bytes());
  }
}

}  // namespace tributary

#include "core/runtime/variable.h"

#include "core/runtime/execute.h"

namespace tributary {

std::shared_ptr<Variable> Variable::Create(std::string name, const Tensor& initial,
                                           bool trainable) {
  if (!initial.defined() || initial.IsSymbolic() || !IsPlain(initial.dtype())) {
    throw InvalidArgumentError("[Variable] {}: expected a numeric initial value, got {}", name,
                               initial.defined() ? initial.spec().ToString() : "nothing");
  }
  return std::shared_ptr<Variable>(new Variable(std::move(name), initial.Clone(), trainable));
}

std::shared_ptr<Variable> Variable::Alias(std::string name, Tensor storage, bool trainable) {
  return std::shared_ptr<Variable>(
      new Variable(std::move(name), std::move(storage), trainable));
}

Tensor Variable::handle() { return Tensor::Resource(shared_from_this()); }

Tensor Variable::value() {
  return Execute1("ReadVariableOp", {handle()}, {{"dtype", dtype()}},
                  name_ + "/Read/ReadVariableOp");
}

void Variable::Assign(const Tensor& value) {
  if (value.dtype() != dtype() || value.shape() != shape()) {
    throw InvalidArgumentError("[Variable] {}: can't assign {} to {}", name_,
                               value.spec().ToString(), storage_.spec().ToString());
  }
  CopyTensor(value, storage_);
}

void Variable::MoveTo(const Tensor& storage) {
  if (pinned_) {
    throw FailedPreconditionError("[Variable] {}: a plan holds its address; place variables "
                                  "before the first step is built",
                                  name_);
  }
  CopyTensor(storage_, storage);
  storage_ = storage.Reshaped(shape());
}

}  // namespace tributary

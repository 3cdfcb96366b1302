#pragma once
// Variable: a named buffer with a stable address (tf.Variable).
//
// Optimizer slots, metric state and counters are variables too. The storage may
// be re-homed once, before any plan uses it, so that trainable variables of one
// dtype lie in one flat bucket. Not synchronised: one plan at a time writes.

#include <memory>
#include <string>

#include "core/tensor/tensor.h"

namespace tributary {

class Variable : public std::enable_shared_from_this<Variable> {
 public:
  // Takes a copy of `initial`. Names need not be unique here; checkpoints go by
  // the object graph. Throws InvalidArgumentError for strings and resources.
  static std::shared_ptr<Variable> Create(std::string name, const Tensor& initial,
                                          bool trainable = true);
  // A view: the variable *is* `storage` (a slice of a bucket).
  static std::shared_ptr<Variable> Alias(std::string name, Tensor storage, bool trainable);

  const std::string& name() const { return name_; }
  DType dtype() const { return storage_.dtype(); }
  const Shape& shape() const { return storage_.shape(); }
  bool trainable() const { return trainable_; }
  void set_trainable(bool trainable) { trainable_ = trainable; }

  // The live storage: changes as the variable does.
  const Tensor& storage() const { return storage_; }
  // A copy of the present value (eager), or a ReadVariableOp output while a
  // function is being traced. What model code calls.
  Tensor value();
  // DT_RESOURCE tensor for op builders.
  Tensor handle();

  // Overwrites now. Throws InvalidArgumentError on another dtype or shape,
  // naming both.
  void Assign(const Tensor& value);
  // Moves the content to `storage` (same dtype and size). Throws
  // FailedPreconditionError once a plan holds the address.
  void MoveTo(const Tensor& storage);
  // Called by plans: the address may no longer change.
  void Pin() { pinned_ = true; }
  bool pinned() const { return pinned_; }

 private:
  Variable(std::string name, Tensor storage, bool trainable)
      : name_(std::move(name)), storage_(std::move(storage)), trainable_(trainable) {}
  std::string name_;
  Tensor storage_;
  bool trainable_;
  bool pinned_ = false;
};

}  // namespace tributary

#include "trainer/losses/shapes.h"

#include "core/graph/node.h"
#include "ops/array_ops.h"

namespace tributary::losses {
namespace {

// [n, 1] -> [n]
Shape WithoutLast(const Shape& shape) {
  std::vector<int64_t> dims = shape.dims();
  dims.pop_back();
  return Shape(std::move(dims));
}

[[noreturn]] void Misfit(const Tensor& y_true, const Tensor& y_pred, const std::string& who) {
  throw InvalidArgumentError("[{}] targets of shape {} do not fit predictions of shape {}",
                             who, y_true.shape().ToString(), y_pred.shape().ToString());
}

}  // namespace

Tensor TargetLike(const Tensor& y_true, const Tensor& y_pred, const std::string& who) {
  if (y_true.dtype() == DType::kString) {
    throw InvalidArgumentError("[{}] targets must be numbers, got strings", who);
  }
  const Tensor target = ops::Cast(y_true, y_pred.dtype());
  const Shape& t = y_true.shape();
  const Shape& p = y_pred.shape();
  if (t.IsCompatibleWith(p)) return target;
  const bool expand = p.rank() == t.rank() + 1 && p.dim(-1) == 1 &&
                      WithoutLast(p).IsCompatibleWith(t);
  const bool squeeze = t.rank() == p.rank() + 1 && t.dim(-1) == 1 &&
                       WithoutLast(t).IsCompatibleWith(p);
  if (!expand && !squeeze) Misfit(y_true, y_pred, who);
  return ops::Reshape(target, p.dims());
}

Tensor ClassTarget(const Tensor& y_true, const Tensor& y_pred, const std::string& who) {
  if (!IsInteger(y_true.dtype())) {
    throw InvalidArgumentError(
        "[{}] targets are class numbers and must be integers, got {}; cast them", who,
        DTypeName(y_true.dtype()));
  }
  if (y_pred.rank() < 1) Misfit(y_true, y_pred, who);
  const bool wide = y_true.dtype() == DType::kInt32 || y_true.dtype() == DType::kInt64;
  const Tensor target = wide ? y_true : ops::Cast(y_true, DType::kInt32);
  const Shape wanted = WithoutLast(y_pred.shape());
  if (y_true.shape().IsCompatibleWith(wanted)) return target;
  if (y_true.rank() == y_pred.rank() && y_true.dim(-1) == 1 &&
      WithoutLast(y_true.shape()).IsCompatibleWith(wanted)) {
    return ops::Reshape(target, wanted.dims());
  }
  Misfit(y_true, y_pred, who);
}

Tensor InputOf(const Tensor& y, const char* op) {
  return y.IsSymbolic() && y.node()->op() == op ? y.node()->input(0) : Tensor();
}

}  // namespace tributary::losses

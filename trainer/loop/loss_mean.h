#pragma once
// The running mean of the loss, weighted by examples: state [total, count].

#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/state_ops.h"
#include "trainer/model/module.h"

namespace tributary {

class LossMean final : public Module {
 public:
  LossMean()
      : state_(Variable::Create("loss/total_count", Tensor::Zeros(DType::kFloat64, {2}), false)) {
    set_name("loss");
    Own("total_count", state_);
  }

  void Add(const Tensor& mean, int64_t rows) {
    const Tensor count(static_cast<double>(rows));
    const Tensor total = ops::Mul(ops::Cast(mean, DType::kFloat64), count);
    ops::AssignAddVariableOp(state_->handle(), ops::Pack({total, count}));
  }
  void Reset() { data()[0] = data()[1] = 0; }
  double total() const { return data()[0]; }
  double count() const { return data()[1]; }
  double result() const { return count() == 0 ? 0 : total() / count(); }

 private:
  double* data() const { return state_->storage().mutable_data<double>(); }
  VariablePtr state_;
};

}  // namespace tributary

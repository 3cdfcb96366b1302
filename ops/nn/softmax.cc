#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/math_ops.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn/softmax_rows.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

Tensor Softmax(const Tensor& logits) { return Execute1("Softmax", {logits}); }
Tensor LogSoftmax(const Tensor& logits) { return Execute1("LogSoftmax", {logits}); }

}  // namespace ops

namespace {

void SoftmaxShape(InferenceContext& c) {
  if (c.shape(0).rank() == 0) {
    throw InvalidArgumentError("[{}] logits must have rank 1 or more, got a scalar", c.op());
  }
  c.set_output(0, c.shape(0));
}

using RowsFn = void (*)(const float*, float*, int64_t, int64_t);

KernelFactory RowKernel(RowsFn fn) {
  return [fn](PrepareContext& c) {
    const int64_t columns = c.in_shape(0).dim(-1);
    const int64_t rows = columns ? c.in_shape(0).NumElements() / columns : 0;
    c.allow_in_place(0, 0);
    return MakeKernel([fn, rows, columns](const LaunchArgs& args) {
      fn(static_cast<const float*>(args.in[0]), static_cast<float*>(args.out[0]), rows, columns);
    });
  };
}

std::vector<OpSample> Samples() {
  return {{{Wave({3, 5}, 0.7f, 2.0f)}, {}},
          {{Wave({2, 3, 19}, 0.7f, 3.0f)}, {}},
          {{Wave({16}, 0.7f)}, {}},
          {{Wave({0, 5}, 0.7f)}, {}}};
}

REGISTER_OP("Softmax")
    .Input("logits: T").Output("softmax: T").Attr("T: {float32}")
    .Shape(SoftmaxShape)
    .Gradient([](const GradContext& g) -> Grads {
      const Tensor &y = g.output(), &dy = g.grad();
      return {ops::Mul(ops::Sub(dy, ops::Sum(ops::Mul(dy, y), {-1}, true)), y)};
    })
    .Samples(Samples);
REGISTER_KERNEL("Softmax", DeviceType::kCpu, {DType::kFloat32}, RowKernel(&SoftmaxRows));

REGISTER_OP("LogSoftmax")
    .Input("logits: T").Output("logsoftmax: T").Attr("T: {float32}")
    .Shape(SoftmaxShape)
    .Gradient([](const GradContext& g) -> Grads {
      const Tensor &y = g.output(), &dy = g.grad();
      return {ops::Sub(dy, ops::Mul(ops::Sum(dy, {-1}, true), ops::Exp(y)))};
    })
    .Samples(Samples);
REGISTER_KERNEL("LogSoftmax", DeviceType::kCpu, {DType::kFloat32}, RowKernel(&LogSoftmaxRows));

}  // namespace
}  // namespace tributary

#include "core/base/parallel.h"
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

template <typename T>
using RowsFn = void (*)(const T*, T*, int64_t, int64_t);

template <typename T>
KernelFactory RowKernel(RowsFn<T> fn) {
  return [fn](PrepareContext& c) {
    const int64_t columns = c.in_shape(0).dim(-1);
    const int64_t rows = columns ? c.in_shape(0).NumElements() / columns : 0;
    c.allow_in_place(0, 0);
    return MakeKernel([fn, rows, columns](const LaunchArgs& args) {
      fn(static_cast<const T*>(args.in[0]), static_cast<T*>(args.out[0]), rows, columns);
    });
  };
}

// Plain loops: what double is for is the exact check of models and gradients.
template <bool kLog>
void DoubleRows(const double* x, double* out, int64_t rows, int64_t columns) {
  ParallelFor(rows, 1 + 4096 / std::max<int64_t>(columns, 1), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double* row = x + i * columns;
      double* y = out + i * columns;
      const double max = *std::max_element(row, row + columns);
      double sum = 0;
      for (int64_t j = 0; j < columns; ++j) sum += std::exp(row[j] - max);
      const double log_sum = std::log(sum);
      for (int64_t j = 0; j < columns; ++j) {
        y[j] = kLog ? row[j] - max - log_sum : std::exp(row[j] - max) / sum;
      }
    }
  });
}

std::vector<OpSample> Samples() {
  return {{{Wave({3, 5}, 0.7f, 2.0f)}, {}},
          {{Wave({2, 3, 19}, 0.7f, 3.0f)}, {}},
          {{Wave({16}, 0.7f)}, {}},
          {{Wave({0, 5}, 0.7f)}, {}}};
}

REGISTER_OP("Softmax")
    .Input("logits: T").Output("softmax: T").Attr("T: {float32, float64}")
    .Shape(SoftmaxShape)
    .Gradient([](const GradContext& g) -> Grads {
      const Tensor &y = g.output(), &dy = g.grad();
      return {ops::Mul(ops::Sub(dy, ops::Sum(ops::Mul(dy, y), {-1}, true)), y)};
    })
    .Samples(Samples);
REGISTER_KERNEL("Softmax", DeviceType::kCpu, {DType::kFloat32}, RowKernel(&SoftmaxRows));
REGISTER_KERNEL("Softmax", DeviceType::kCpu, {DType::kFloat64}, RowKernel(&DoubleRows<false>));

REGISTER_OP("LogSoftmax")
    .Input("logits: T").Output("logsoftmax: T").Attr("T: {float32, float64}")
    .Shape(SoftmaxShape)
    .Gradient([](const GradContext& g) -> Grads {
      const Tensor &y = g.output(), &dy = g.grad();
      return {ops::Sub(dy, ops::Mul(ops::Sum(dy, {-1}, true), ops::Exp(y)))};
    })
    .Samples(Samples);
REGISTER_KERNEL("LogSoftmax", DeviceType::kCpu, {DType::kFloat32}, RowKernel(&LogSoftmaxRows));
REGISTER_KERNEL("LogSoftmax", DeviceType::kCpu, {DType::kFloat64}, RowKernel(&DoubleRows<true>));

}  // namespace
}  // namespace tributary

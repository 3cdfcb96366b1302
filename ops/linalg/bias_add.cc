#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/nn/column_affine.h"
#include "ops/nn/column_sums.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

Tensor BiasAdd(const Tensor& value, const Tensor& bias) {
  return Execute1("BiasAdd", {value, bias});
}

Tensor BiasAddGrad(const Tensor& out_backprop) {
  return Execute1("BiasAddGrad", {out_backprop});
}

}  // namespace ops

namespace {

void RequireChannels(const InferenceContext& c) {
  if (!c.shape(0).unknown_rank() && c.shape(0).rank() < 2) {
    throw InvalidArgumentError("[{}] expected a tensor of rank 2 or more, got shape {}", c.op(),
                               c.shape(0).ToString());
  }
}

void BiasAddShape(InferenceContext& c) {
  RequireChannels(c);
  c.RequireRank(1, 1, "bias");
  Shape out = c.shape(0);
  if (!out.unknown_rank() && !c.shape(1).unknown_rank()) {
    out.set_dim(out.rank() - 1,
                ops::MergeDims(c, out.dim(-1), c.shape(1)[0], "channels and bias"));
  }
  c.set_output(0, out);
}

void BiasAddGradShape(InferenceContext& c) {
  RequireChannels(c);
  c.set_output(0, Shape{c.shape(0).unknown_rank() ? Shape::kUnknownDim : c.shape(0).dim(-1)});
}

std::unique_ptr<Kernel> MakeBiasAdd(PrepareContext& c) {
  const int64_t columns = c.in_shape(1)[0];
  const int64_t rows = columns ? c.out_shape(0).NumElements() / columns : 0;
  c.allow_in_place(0, 0);
  return MakeKernel([rows, columns](const LaunchArgs& args) {
    ColumnAffine(static_cast<const float*>(args.in[0]), nullptr, nullptr, nullptr,
                 static_cast<const float*>(args.in[1]), static_cast<float*>(args.out[0]), rows,
                 columns);
  });
}

std::unique_ptr<Kernel> MakeBiasAddDouble(PrepareContext& c) {
  const int64_t columns = c.in_shape(1)[0], count = c.out_shape(0).NumElements();
  c.allow_in_place(0, 0);
  return MakeKernel([columns, count](const LaunchArgs& args) {
    const double* x = static_cast<const double*>(args.in[0]);
    const double* bias = static_cast<const double*>(args.in[1]);
    double* y = static_cast<double*>(args.out[0]);
    for (int64_t i = 0; i < count; ++i) y[i] = x[i] + bias[i % columns];
  });
}

std::unique_ptr<Kernel> MakeBiasAddGrad(PrepareContext& c) {
  const int64_t columns = c.out_shape(0)[0];
  const ColumnSums sums(columns ? c.in_shape(0).NumElements() / columns : 0, columns);
  c.set_scratch_bytes(sums.scratch_bytes());
  return MakeKernel([sums](const LaunchArgs& args) {
    sums.Sum(static_cast<const float*>(args.in[0]), static_cast<float*>(args.out[0]),
             args.scratch);
  });
}

std::unique_ptr<Kernel> MakeBiasAddGradDouble(PrepareContext& c) {
  const int64_t columns = c.out_shape(0)[0], count = c.in_shape(0).NumElements();
  return MakeKernel([columns, count](const LaunchArgs& args) {
    const double* x = static_cast<const double*>(args.in[0]);
    double* sums = static_cast<double*>(args.out[0]);
    std::fill_n(sums, columns, 0.0);
    for (int64_t i = 0; i < count; ++i) sums[i % columns] += x[i];
  });
}

// The gradient of a sum over all axes but the last.
Grads BiasAddGradGradient(const GradContext& g) {
  const Tensor& x = g.input(0);
  return {ops::BroadcastTo(g.grad(), ops::ShapeOf(x))};
}

REGISTER_OP("BiasAdd")
    .Input("value: T").Input("bias: T").Output("output: T")
    .Attr("T: {float32, float64}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Shape(BiasAddShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {g.grad(), ops::BiasAddGrad(g.grad())};
    })
    .Samples([] {
      return std::vector<OpSample>{{{Wave({3, 5}, 0.7f), Wave({5}, 0.3f)}, {}},
                                   {{Wave({2, 3, 2, 17}, 0.7f), Wave({17}, 0.3f)}, {}},
                                   {{Wave({0, 5}, 0.7f), Wave({5}, 0.3f)}, {}}};
    });
REGISTER_KERNEL("BiasAdd", DeviceType::kCpu, {DType::kFloat32}, MakeBiasAdd);
REGISTER_KERNEL("BiasAdd", DeviceType::kCpu, {DType::kFloat64}, MakeBiasAddDouble);

REGISTER_OP("BiasAddGrad")
    .Input("out_backprop: T").Output("output: T")
    .Attr("T: {float32, float64}").Attr("data_format: {'NHWC'} = 'NHWC'")
    .Shape(BiasAddGradShape)
    .Gradient(BiasAddGradGradient)
    .Samples([] {
      return std::vector<OpSample>{{{Wave({3, 5}, 0.7f)}, {}},
                                   {{Wave({2, 3, 2, 17}, 0.7f)}, {}},
                                   {{Wave({0, 5}, 0.7f)}, {}}};
    });
REGISTER_KERNEL("BiasAddGrad", DeviceType::kCpu, {DType::kFloat32}, MakeBiasAddGrad);
REGISTER_KERNEL("BiasAddGrad", DeviceType::kCpu, {DType::kFloat64}, MakeBiasAddGradDouble);

}  // namespace
}  // namespace tributary

#include "core/graph/kernel.h"
#include "core/graph/node.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/math_ops.h"
#include "ops/nn/cross_entropy.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn/softmax_rows.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

std::vector<Tensor> SoftmaxCrossEntropyWithLogits(const Tensor& features,
                                                  const Tensor& labels) {
  return Execute("SoftmaxCrossEntropyWithLogits", {features, labels});
}

Tensor SigmoidCrossEntropyWithLogits(const Tensor& labels, const Tensor& logits) {
  return Add(Sub(Relu(logits), Mul(logits, labels)), Softplus(Neg(Abs(logits))));
}

}  // namespace ops

namespace {

// A gradient that was filled in because nothing depends on the output.
bool IsZero(const Tensor& t) {
  if (!t.IsSymbolic()) {
    const auto values = t.values<float>();
    return std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
  }
  Node* node = t.node();
  if (node->op() == "ZerosLike") return true;
  if (node->op() == "Fill") return IsZero(node->input(1));
  return node->constant() && IsZero(*node->constant());
}

}  // namespace

Tensor CrossEntropyLogitsGradient(const GradContext& g) {
  const Tensor per_row = ops::ExpandDims(g.grad(0), -1);
  Tensor grad = ops::Mul(per_row, g.output(1));
  const Tensor& second = g.grad(1);
  if (second.defined() && !IsZero(second)) {
    // backprop = softmax - labels, and the derivative of softmax.
    const Tensor p = ops::Softmax(g.input(0));
    const Tensor along = ops::Sum(ops::Mul(second, p), {-1}, true);
    grad = ops::Add(grad, ops::Mul(ops::Sub(second, along), p));
  }
  return grad;
}

namespace {

void CrossEntropyShape(InferenceContext& c) {
  c.RequireRank(0, 2, "features");
  c.RequireRank(1, 2, "labels");
  const Shape both = ops::MergeShapes(c, c.shape(0), c.shape(1));
  c.set_output(0, Shape{both.unknown_rank() ? Shape::kUnknownDim : both[0]});
  c.set_output(1, both);
}

std::unique_ptr<Kernel> MakeCrossEntropy(PrepareContext& c) {
  const int64_t rows = c.in_shape(0)[0], columns = c.in_shape(0)[1];
  return MakeKernel([rows, columns](const LaunchArgs& args) {
    CrossEntropyRows(static_cast<const float*>(args.in[0]),
                     static_cast<const float*>(args.in[1]), static_cast<float*>(args.out[0]),
                     static_cast<float*>(args.out[1]), rows, columns);
  });
}

Tensor Distribution(const Shape& shape) {
  Tensor t = Tensor::Full<float>(shape, 0.5f / shape[1]);
  for (int64_t i = 0; i < shape[0]; ++i) t.mutable_data<float>()[i * shape[1] + i] += 0.5f;
  return t;
}

REGISTER_OP("SoftmaxCrossEntropyWithLogits")
    .Input("features: T").Input("labels: T").Output("loss: T").Output("backprop: T")
    .Attr("T: {float32}")
    .Shape(CrossEntropyShape)
    .Gradient([](const GradContext& g) -> Grads {
      const Tensor per_row = ops::ExpandDims(g.grad(0), -1);
      return {CrossEntropyLogitsGradient(g),
              ops::Mul(per_row, ops::Neg(ops::LogSoftmax(g.input(0))))};
    })
    .Samples([] {
      // The derivative by the labels is that of a distribution: not checked.
      return std::vector<OpSample>{
          {{Wave({3, 5}, 0.7f, 2.0f), Distribution({3, 5})}, {}, {0}},
          {{Wave({4, 18}, 0.7f, 2.0f), Distribution({4, 18})}, {}, {0}}};
    });
REGISTER_KERNEL("SoftmaxCrossEntropyWithLogits", DeviceType::kCpu, {DType::kFloat32},
                MakeCrossEntropy);

}  // namespace
}  // namespace tributary

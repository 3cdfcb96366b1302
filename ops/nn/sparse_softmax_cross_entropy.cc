#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/nn/cross_entropy.h"
#include "ops/nn/sample_tensors.h"
#include "ops/nn/softmax_rows.h"
#include "ops/nn_ops.h"

namespace tributary {
namespace ops {

std::vector<Tensor> SparseSoftmaxCrossEntropyWithLogits(const Tensor& features,
                                                        const Tensor& labels) {
  return Execute("SparseSoftmaxCrossEntropyWithLogits", {features, labels});
}

}  // namespace ops

namespace {

void SparseCrossEntropyShape(InferenceContext& c) {
  c.RequireRank(0, 2, "features");
  c.RequireRank(1, 1, "labels");
  Shape features = c.shape(0);
  int64_t rows = c.shape(1).unknown_rank() ? Shape::kUnknownDim : c.shape(1)[0];
  if (!features.unknown_rank()) {
    rows = ops::MergeDims(c, features[0], rows, "rows of features and labels");
    features.set_dim(0, rows);
  }
  c.set_output(0, Shape{rows});
  c.set_output(1, features);
}

template <typename Label>
std::unique_ptr<Kernel> MakeSparse(int64_t rows, int64_t columns) {
  return MakeKernel([rows, columns](const LaunchArgs& args) {
    const Label* labels = static_cast<const Label*>(args.in[1]);
    for (int64_t i = 0; i < rows; ++i) {
      if (labels[i] < 0 || labels[i] >= columns) {
        throw InvalidArgumentError(
            "[SparseSoftmaxCrossEntropyWithLogits] label {} of row {} is out of range; "
            "expected [0, {})",
            labels[i], i, columns);
      }
    }
    SparseCrossEntropyRows(static_cast<const float*>(args.in[0]), labels,
                           static_cast<float*>(args.out[0]), static_cast<float*>(args.out[1]),
                           rows, columns);
  });
}

std::unique_ptr<Kernel> MakeSparseCrossEntropy(PrepareContext& c) {
  const int64_t rows = c.in_shape(0)[0], columns = c.in_shape(0)[1];
  return c.in_dtype(1) == DType::kInt32 ? MakeSparse<int32_t>(rows, columns)
                                        : MakeSparse<int64_t>(rows, columns);
}

REGISTER_OP("SparseSoftmaxCrossEntropyWithLogits")
    .Input("features: T").Input("labels: Tlabels").Output("loss: T").Output("backprop: T")
    .Attr("T: {float32}").Attr("Tlabels: {int32, int64} = int64")
    .Shape(SparseCrossEntropyShape)
    .Gradient([](const GradContext& g) -> Grads {
      return {CrossEntropyLogitsGradient(g), Grad()};
    })
    .Samples([] {
      return std::vector<OpSample>{
          {{Wave({3, 5}, 0.7f, 2.0f), Tensor::FromVector<int64_t>({4, 0, 2})}, {}},
          {{Wave({4, 18}, 0.7f, 2.0f), Tensor::FromVector<int32_t>({17, 0, 2, 9})}, {}},
          {{Wave({0, 5}, 0.7f), Tensor::FromVector<int32_t>({})}, {}}};
    });
REGISTER_KERNEL("SparseSoftmaxCrossEntropyWithLogits", DeviceType::kCpu, {DType::kFloat32},
                MakeSparseCrossEntropy);

}  // namespace
}  // namespace tributary

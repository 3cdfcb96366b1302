// ReverseV2: flips dimensions.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array/shape_rules.h"
#include "ops/array/strided_copy.h"
#include "ops/array_ops.h"

namespace tributary {
namespace {

std::unique_ptr<Kernel> MakeReverse(PrepareContext& c) {
  const Shape& shape = c.in_shape(0);
  auto from = shape.Strides();
  int64_t offset = 0;
  for (const int64_t axis : c.constant_ints(1)) {
    const int i = NormalizeAxis(axis, shape.rank(), c.op());
    if (from[i] < 0) {
      throw InvalidArgumentError("[ReverseV2] axis {} is given twice", axis);
    }
    offset += from[i] * (shape[i] - 1);
    from[i] = -from[i];
  }
  const StridedCopy copy(c.in_dtype(0), shape.dims(), from, shape.Strides(), offset);
  return MakeKernel([copy](const LaunchArgs& args) { copy(args.in[0], args.out[0]); });
}

}  // namespace

REGISTER_OP("ReverseV2")
    .Input("tensor: T")
    .Input("axis: Tidx")
    .Output("output: T")
    .Attr("T: type")
    .Attr("Tidx: {int32, int64} = int32")
    .Shape([](InferenceContext& c) {
      c.RequireRank(1, 1, "axis");
      if (const auto axes = c.constant_ints(1); axes && !c.shape(0).unknown_rank()) {
        for (const int64_t axis : *axes) NormalizeAxis(axis, c.shape(0).rank(), c.op());
      }
      c.set_output(0, c.shape(0));
    })
    .Gradient([](const GradContext& g) -> Grads {
      return {ops::Reverse(g.grad(), g.input(1)), {}};
    })
    .Samples([] {
      const Tensor x = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6}, {2, 3});
      return std::vector<OpSample>{{{x, Tensor::FromVector<int32_t>({1})}},
                                   {{x, Tensor::FromVector<int32_t>({0, -1})}}};
    });
REGISTER_KERNEL("ReverseV2", DeviceType::kCpu, {}, MakeReverse);

namespace ops {

Tensor Reverse(const Tensor& tensor, const IntList& axes) {
  return Execute1("ReverseV2", {tensor, axes.tensor()});
}

}  // namespace ops
}  // namespace tributary

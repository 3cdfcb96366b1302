// ResourceGather: rows of a variable (embedding lookup).

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "core/runtime/variable.h"
#include "ops/array/gather_rows.h"
#include "ops/array_ops.h"
#include "ops/state_ops.h"

namespace tributary {
namespace {

void ResourceGatherShape(InferenceContext& c) {
  const Shape& table = c.shape(0);
  const Shape& indices = c.shape(1);
  if (table.unknown_rank() || indices.unknown_rank()) return;
  if (table.rank() < 1) {
    throw InvalidArgumentError("[ResourceGather] the variable must have rows, it is a scalar");
  }
  Shape result = indices;
  for (int i = 1; i < table.rank(); ++i) result.AddDim(table[i]);
  c.set_output(0, result);
}

std::unique_ptr<Kernel> MakeResourceGather(PrepareContext& c) {
  const Shape& table = c.in_shape(0);
  c.only_reads();
  GatherRows rows;
  rows.op = "ResourceGather";
  rows.limit = table[0];
  rows.count = c.in_shape(1).NumElements();
  rows.row_bytes = DTypeSize(c.in_dtype(0));
  for (int i = 1; i < table.rank(); ++i) rows.row_bytes *= table[i];
  return MakeGatherRows(rows, c.in_dtype(1));
}

Grads ResourceGatherGradient(const GradContext& g) {
  const Shape table = g.input(0).spec().shape;
  std::vector<int64_t> rows = table.dims();
  rows[0] = g.input(1).shape().IsFullyDefined() ? g.input(1).NumElements() : -1;
  return {IndexedSlices{ops::Reshape(g.grad(), rows), ops::Reshape(g.input(1), {-1}),
                        ops::IntList(table).tensor()},
          {}};
}

}  // namespace

REGISTER_OP("ResourceGather")
    .Input("resource: resource")
    .Input("indices: Tindices")
    .Output("output: dtype")
    .Attr("dtype: type")
    .Attr("Tindices: {int32, int64}")
    .Attr("batch_dims: int = 0")
    .Attr("validate_indices: bool = true")
    .Shape(ResourceGatherShape)
    .Gradient(ResourceGatherGradient)
    .Stateful()
    .Samples([] {
      const auto table =
          Variable::Create("table", Tensor::FromVector<double>({1, 2, 3, 4, 5, 6}, {3, 2}));
      return std::vector<OpSample>{
          {{table->handle(), Tensor::FromVector<int32_t>({2, 0, 2})}},
          {{table->handle(), Tensor::FromVector<int64_t>({0, 1, 1, 2}, {2, 2})}}};
    });
REGISTER_KERNEL("ResourceGather", DeviceType::kCpu, {}, MakeResourceGather);

namespace ops {

Tensor ResourceGather(const Tensor& resource, const Tensor& indices) {
  return Execute1("ResourceGather", {resource, indices},
                  {{"dtype", resource.spec().handle_dtype}});
}

}  // namespace ops
}  // namespace tributary

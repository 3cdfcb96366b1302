#include "core/runtime/accumulate.h"

#include "core/runtime/execute.h"
#include "core/runtime/gradients.h"

namespace tributary {

Tensor Densify(const Grad& grad) {
  if (!grad.sparse()) return grad.dense();
  const IndexedSlices& s = grad.slices();
  // dense_shape[0] as a scalar.
  const Tensor first = Execute1("StridedSlice",
                                {s.dense_shape, Tensor::FromVector<int32_t>({0}),
                                 Tensor::FromVector<int32_t>({1}),
                                 Tensor::FromVector<int32_t>({1})},
                                {{"shrink_axis_mask", 1}});
  const Tensor rows = first.dtype() == DType::kInt32
                          ? first
                          : Execute1("Cast", {first}, {{"DstT", DType::kInt32}});
  return Execute1("UnsortedSegmentSum", {s.values, s.indices, rows});
}

Grad AccumulateGrads(const std::vector<Grad>& parts) {
  std::vector<Grad> defined;
  bool all_sparse = true;
  for (const Grad& part : parts) {
    if (!part.defined()) continue;
    defined.push_back(part);
    all_sparse &= part.sparse();
  }
  if (defined.empty()) return {};
  if (defined.size() == 1) return defined[0];
  if (!all_sparse) {
    std::vector<Tensor> dense;
    for (const Grad& part : defined) dense.push_back(Densify(part));
    return Execute1("AddN", dense);
  }
  std::vector<Tensor> values, indices;
  for (const Grad& part : defined) {
    values.push_back(part.slices().values);
    indices.push_back(part.slices().indices);
  }
  values.push_back(Tensor(int32_t{0}));
  indices.push_back(Tensor(int32_t{0}));
  return IndexedSlices{Execute1("ConcatV2", values), Execute1("ConcatV2", indices),
                       defined[0].slices().dense_shape};
}

Grads BackpropagateOp(const OpSchema& schema, const AttrMap& attrs,
                      const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
                      const std::vector<std::vector<Grad>>& parts) {
  if (!schema.differentiable) return {};
  std::vector<Tensor> grads(outputs.size());
  bool any = false;
  for (size_t i = 0; i < outputs.size(); ++i) {
    grads[i] = Densify(AccumulateGrads(parts[i]));
    any |= grads[i].defined();
  }
  if (!any) return {};
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!grads[i].defined() && IsFloating(outputs[i].dtype())) {
      grads[i] = Execute1("ZerosLike", {outputs[i]});
    }
  }
  if (!schema.gradient) {
    throw UnimplementedError("[gradients] op {} has no gradient", schema.name);
  }
  Grads result = schema.gradient(GradContext(schema.name, attrs, inputs, outputs, grads));
  if (result.size() != inputs.size()) {
    throw InternalError("[gradients] the gradient of {} returned {} values for {} inputs",
                        schema.name, result.size(), inputs.size());
  }
  return result;
}

}  // namespace tributary

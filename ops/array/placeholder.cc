// Placeholder, PlaceholderWithDefault: values that a run feeds.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/array_ops.h"

namespace tributary {

REGISTER_OP("Placeholder")
    .Output("output: dtype")
    .Attr("dtype: type")
    .Attr("shape: shape = unknown")
    .Shape([](InferenceContext& c) { c.set_output(0, c.attr<Shape>("shape")); })
    .NotDifferentiable();

REGISTER_OP("PlaceholderWithDefault")
    .Input("input: dtype")
    .Output("output: dtype")
    .Attr("dtype: type")
    .Attr("shape: shape")
    .Shape([](InferenceContext& c) {
      const Shape& declared = c.attr<Shape>("shape");
      if (!declared.IsCompatibleWith(c.shape(0))) {
        throw InvalidArgumentError("[PlaceholderWithDefault] shape {} is declared, the default "
                                   "has shape {}",
                                   declared.ToString(), c.shape(0).ToString());
      }
      c.set_output(0, declared.MergeWith(c.shape(0)));
    })
    .Gradient([](const GradContext& g) -> Grads { return {g.grad()}; })
    .Samples([] {
      return std::vector<OpSample>{
          {{Tensor::FromVector<double>({1, 2, 3})}, {{"shape", Shape{-1}}}}};
    });

REGISTER_KERNEL("PlaceholderWithDefault", DeviceType::kCpu, {},
                [](PrepareContext& c) -> std::unique_ptr<Kernel> {
                  c.forward(0, 0);
                  return nullptr;
                });

namespace ops {

Tensor Placeholder(DType dtype, const Shape& shape, const std::string& name) {
  Graph* graph = CurrentGraph();
  if (!graph) {
    throw FailedPreconditionError("[Placeholder] needs a graph to be added to; trace a function "
                                  "or open a GraphScope");
  }
  return graph->Placeholder(dtype, shape, name);
}

Tensor PlaceholderWithDefault(const Tensor& input, const Shape& shape) {
  return Execute1("PlaceholderWithDefault", {input}, {{"shape", shape}});
}

}  // namespace ops
}  // namespace tributary

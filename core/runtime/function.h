#pragma once
// function(): C++ code traced into a graph once per input signature, then run as
// a plan (tf.function).
//
//   Function f("step", [&](const std::vector<Tensor>& in) {
//     return std::vector<Tensor>{ops::MatMul(in[0], w->value())};
//   });
//   Tensor y = f({x})[0];
//
// A trace is keyed by the dtypes and shapes of the inputs. A declared signature
// may leave dimensions open (-1): one trace then serves all, with one plan per
// concrete shape. Every stateful op of the trace runs, in program order. Shapes
// inside may not depend on fed values: a plan gives every tensor its memory first.
//
// While a GradientTape of this thread records, the body runs op by op instead, on
// purpose: a tape sees through a function only so. For speed, take the gradient
// inside of the function.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/runtime/plan.h"

namespace tributary {

class Function {
 public:
  using Body = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

  Function(std::string name, Body body,
           std::optional<std::vector<TensorSpec>> signature = std::nullopt,
           PlanOptions options = {});
  ~Function();

  // Runs; results are fresh tensors that the caller owns. While another function
  // is being traced (symbolic arguments), the body is inlined into that trace.
  // Throws InvalidArgumentError when arguments do not fit the declared signature.
  std::vector<Tensor> operator()(const std::vector<Tensor>& args);

  // The prepared plan for these argument specs, traced on first use. Valid as
  // long as the Function. For hot loops: bind inputs once, Run many times.
  Plan* plan(const std::vector<TensorSpec>& args);
  // The traced graph (for GraphDef, `tributary graph`, SavedModel).
  struct Trace {
    std::unique_ptr<Graph> graph;
    std::vector<Tensor> inputs, outputs;
    std::vector<Node*> targets;
  };
  const Trace& trace(const std::vector<TensorSpec>& args);
  int trace_count() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary

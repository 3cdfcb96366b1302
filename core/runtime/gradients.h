#pragma once
// Automatic differentiation.
//
// Gradients() extends a graph (tf.gradients); GradientTape records ops, eager ones and
// those of a trace, and plays them back (tf.GradientTape). Both call the gradient
// functions of the op registry, so what they produce can be differentiated again.

#include <memory>
#include <vector>

#include "core/graph/op.h"
#include "core/runtime/variable.h"

namespace tributary {

// d(sum of ys)/d(x) for each x, as symbolic tensors of the graph of ys. `xs` may
// hold resource handles (of captured variables). grad_ys defaults to ones. A Grad
// is undefined where y does not depend on x. Throws UnimplementedError naming an
// op on the path that has no gradient.
Grads Gradients(const std::vector<Tensor>& ys, const std::vector<Tensor>& xs,
                const std::vector<Tensor>& grad_ys = {});

// Sparse gradients as tensors (scattered into zeros); undefined stays so.
Tensor Densify(const Grad& grad);

// Records while alive (on the thread that made it). Trainable variables are
// watched automatically. Tapes nest: an outer tape records what an inner tape's
// Gradient computes, which gives second derivatives. A persistent tape records
// what its own Gradient computes, until it is stopped.
//
// In a trace it means the same: of symbolic tensors it records the nodes that are
// added while it is alive, and Gradient adds those of the gradient to the graph.
class GradientTape {
 public:
  explicit GradientTape(bool persistent = false);
  ~GradientTape();
  GradientTape(const GradientTape&) = delete;

  void Watch(const Tensor& tensor);
  // Throws FailedPreconditionError when called twice on a tape that is not
  // persistent.
  Grads Gradient(const Tensor& target, const std::vector<Tensor>& sources,
                 const Tensor& output_gradient = {});
  Grads Gradient(const Tensor& target, const std::vector<std::shared_ptr<Variable>>& sources,
                 const Tensor& output_gradient = {});
  // Records no more.
  void Stop();

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary

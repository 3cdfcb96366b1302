#pragma once
// Activation functions and their gradients over flat arrays.
//
// In float: vectors. In double: the formula itself, which is also what tests
// compare against. Parallel over the compute team; `out` may be `a`.

#include <cstdint>
#include <string>

#include "core/graph/kernel.h"

namespace tributary {

enum class ActivationLoop {
  // out = f(a)
  kRelu, kRelu6, kLeakyRelu, kElu, kSelu, kSoftplus, kSoftsign, kGelu, kGeluTanh, kSigmoid,
  kTanh,
  // out = a * f'(b), where b is what TensorFlow's op takes (input or output)
  kReluGrad, kRelu6Grad, kLeakyReluGrad, kEluGrad, kSeluGrad, kSoftplusGrad, kSoftsignGrad,
  kGeluGrad, kGeluTanhGrad,
};

// alpha: the slope of LeakyRelu; ignored elsewhere.
void RunActivation(ActivationLoop loop, const float* a, const float* b, float* out,
                   int64_t count, float alpha);
void RunActivation(ActivationLoop loop, const double* a, const double* b, double* out,
                   int64_t count, float alpha);

// Kernel factory of an elementwise op with one or two inputs of one shape; takes the
// attribute "alpha" where there is one.
KernelFactory ActivationKernel(ActivationLoop loop);

// Shape rule of the gradients: both inputs have one shape.
void SameShapes(InferenceContext& c);

}  // namespace tributary

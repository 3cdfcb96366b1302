#pragma once
// Builders of neural-network ops (TensorFlow's nn_ops and matmul).
//
// Images are NHWC, filters HWIO ([height, width, in, out]). Arguments are checked
// when the op is built where shapes are known, else when the plan is; a bad one
// throws InvalidArgumentError naming the op. Where a builder's name differs from the
// node's op, the op stands in the comment.

#include <string>
#include <vector>

#include "ops/int_list.h"

namespace tributary::ops {

// --- Linear ----------------------------------------------------------------------
// [m, k] x [k, n].
Tensor MatMul(const Tensor& a, const Tensor& b, bool transpose_a = false,
              bool transpose_b = false);
// [..., m, k] x [..., k, n]; leading dimensions broadcast. Op "BatchMatMulV2".
Tensor BatchMatMul(const Tensor& x, const Tensor& y, bool adj_x = false, bool adj_y = false);
// bias: [channels], along the last axis of value.
Tensor BiasAdd(const Tensor& value, const Tensor& bias);
// Sum over all axes but the last.
Tensor BiasAddGrad(const Tensor& out_backprop);

// --- Convolution and pooling -------------------------------------------------------
// padding "VALID" or "SAME"; strides and dilations of height and width.
struct Window {
  std::vector<int64_t> strides = {1, 1};
  std::string padding = "VALID";
  std::vector<int64_t> dilations = {1, 1};
};
Tensor Conv2D(const Tensor& input, const Tensor& filter, const Window& window = {});
// input_sizes: int32 [4].
Tensor Conv2DBackpropInput(const IntList& input_sizes, const Tensor& filter,
                           const Tensor& out_backprop, const Window& window = {});
Tensor Conv2DBackpropFilter(const Tensor& input, const IntList& filter_sizes,
                            const Tensor& out_backprop, const Window& window = {});
// filter: [height, width, in, multiplier]. Op "DepthwiseConv2dNative".
Tensor DepthwiseConv2D(const Tensor& input, const Tensor& filter, const Window& window = {});
// size: height and width of the window.
Tensor MaxPool(const Tensor& input, const std::vector<int64_t>& size,
               const std::vector<int64_t>& strides, const std::string& padding = "VALID");
// The gradient goes to the first largest element of each window.
Tensor MaxPoolGrad(const Tensor& input, const Tensor& output, const Tensor& grad,
                   const std::vector<int64_t>& size, const std::vector<int64_t>& strides,
                   const std::string& padding = "VALID");
// Elements outside of the image are not counted.
Tensor AvgPool(const Tensor& value, const std::vector<int64_t>& size,
               const std::vector<int64_t>& strides, const std::string& padding = "VALID");
Tensor AvgPoolGrad(const IntList& input_sizes, const Tensor& grad,
                   const std::vector<int64_t>& size, const std::vector<int64_t>& strides,
                   const std::string& padding = "VALID");

// --- Normalisation -----------------------------------------------------------------
// Over all axes but the last. Op "FusedBatchNormV3" (its six outputs). While
// training: y, batch mean, batch variance (with Bessel's correction, blended into
// mean and variance when exponential_avg_factor is not 1), and what the gradient
// needs.
std::vector<Tensor> FusedBatchNorm(const Tensor& x, const Tensor& scale, const Tensor& offset,
                                   const Tensor& mean, const Tensor& variance,
                                   float epsilon = 1e-3f, bool is_training = true,
                                   float exponential_avg_factor = 1.0f);
// Over the last axis, times gamma, plus beta. Op "_LayerNorm".
Tensor LayerNorm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                 float epsilon = 1e-3f);

// --- Activations -------------------------------------------------------------------
Tensor Relu(const Tensor& features);
Tensor Relu6(const Tensor& features);
Tensor LeakyRelu(const Tensor& features, float alpha = 0.2f);
Tensor Elu(const Tensor& features);
Tensor Selu(const Tensor& features);
Tensor Softplus(const Tensor& features);
Tensor Softsign(const Tensor& features);
// x * Phi(x), or Hendrycks and Gimpel's tanh approximation. Op "_Gelu".
Tensor Gelu(const Tensor& features, bool approximate = false);
// x * sigmoid(x), from its parts.
Tensor Silu(const Tensor& features);
// gradients * (features > 0). `features` may be the input or the output of Relu.
Tensor ReluGrad(const Tensor& gradients, const Tensor& features);
Tensor Relu6Grad(const Tensor& gradients, const Tensor& features);
Tensor LeakyReluGrad(const Tensor& gradients, const Tensor& features, float alpha = 0.2f);
// outputs: what Elu or Selu returned.
Tensor EluGrad(const Tensor& gradients, const Tensor& outputs);
Tensor SeluGrad(const Tensor& gradients, const Tensor& outputs);
Tensor SoftplusGrad(const Tensor& gradients, const Tensor& features);
Tensor SoftsignGrad(const Tensor& gradients, const Tensor& features);
Tensor GeluGrad(const Tensor& gradients, const Tensor& features, bool approximate = false);

// --- Softmax and cross-entropy -----------------------------------------------------
// Along the last axis.
Tensor Softmax(const Tensor& logits);
Tensor LogSoftmax(const Tensor& logits);
// {loss [batch], gradient of the logits [batch, classes]}.
std::vector<Tensor> SoftmaxCrossEntropyWithLogits(const Tensor& features, const Tensor& labels);
// labels: int32 or int64 [batch]. A label out of range throws InvalidArgumentError
// when the kernel runs.
std::vector<Tensor> SparseSoftmaxCrossEntropyWithLogits(const Tensor& features,
                                                        const Tensor& labels);
// Element by element: max(x, 0) - x * z + log(1 + exp(-|x|)), from its parts.
Tensor SigmoidCrossEntropyWithLogits(const Tensor& labels, const Tensor& logits);

// --- Dropout -----------------------------------------------------------------------
// Zeroes elements with probability `rate` and scales the rest by 1 / (1 - rate).
// Whether element i stays is a function of (seed, seed2, step, offset + i) alone:
// step: int64 scalar that changes every training step; offset: int64 scalar, the
// index that element 0 has in the global batch. The gradient draws the same mask
// again. Op "_Dropout".
Tensor Dropout(const Tensor& x, const Tensor& step, const Tensor& offset, float rate,
               int64_t seed = 0, int64_t seed2 = 0);

}  // namespace tributary::ops

#pragma once
// Max and average pooling over NHWC images, vectorised over the channels and parallel
// over rows (images, where windows overlap, for the gradients).

#include "ops/nn/window.h"

namespace tributary {

void MaxPoolForward(const WindowGeometry& g, const float* in, float* out);
// The gradient of a window goes to its first element that equals the maximum; with
// `relu`, only where the maximum is positive (the gradient of a Relu before the pool).
void MaxPoolBackward(const WindowGeometry& g, const float* in, const float* out,
                     const float* grad, float* in_grad, bool relu = false);
// picked = values (of the image's shape) at the place of each maximum.
void MaxPoolPick(const WindowGeometry& g, const float* in, const float* out,
                 const float* values, float* picked);
// Elements outside of the image are not counted.
void AvgPoolForward(const WindowGeometry& g, const float* in, float* out);
void AvgPoolBackward(const WindowGeometry& g, const float* grad, float* in_grad);

}  // namespace tributary

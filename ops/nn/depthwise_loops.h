#pragma once
// Depthwise convolution of NHWC images: every channel has its own filters. Vectorised
// over the channels, parallel over rows; results do not depend on the thread count.

#include "ops/nn/window.h"

namespace tributary {

// Output channel c * multiplier + q is filter q of image channel c; `window.channels`
// counts the image's.
struct DepthwiseSpec {
  WindowGeometry window;
  int64_t multiplier = 1;
};

// filter: [taps, channels * multiplier] in memory. Each call needs DepthwiseScratch
// bytes of scratch (none for a multiplier of 1).
size_t DepthwiseScratch(const DepthwiseSpec& s);
void DepthwiseForward(const DepthwiseSpec& s, const float* image, const float* filter,
                      float* out, void* scratch);
void DepthwiseBackpropInput(const DepthwiseSpec& s, const float* filter, const float* out_grad,
                            float* image_grad, void* scratch);
void DepthwiseBackpropFilter(const DepthwiseSpec& s, const float* image, const float* out_grad,
                             float* filter_grad, void* scratch);

}  // namespace tributary

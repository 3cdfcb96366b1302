#pragma once
// Windows that slide over NHWC images: convolution and pooling.

#include <string>

#include "core/graph/kernel.h"
#include "core/graph/op.h"

namespace tributary {

// All sizes known.
struct WindowGeometry {
  int64_t batch = 0, in_h = 0, in_w = 0, channels = 0;  // of the image
  int64_t out_h = 0, out_w = 0;
  int64_t k_h = 1, k_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
};

// Size of the output along one dimension and the padding before it, by TensorFlow's
// rules for "VALID" and "SAME". -1 in gives -1. Throws InvalidArgumentError naming
// `op` and `what` (a window larger than the input, ...).
int64_t WindowedSize(const std::string& op, const char* what, int64_t in, int64_t window,
                     int64_t stride, int64_t dilation, const std::string& padding,
                     int64_t* before = nullptr, int64_t* after = nullptr);

// The attributes strides, padding and dilations (of pools: ksize), as far as they are
// there, for an image of this shape and a window of this size. Checks them: four
// numbers, 1 for batch and channels, all positive. Throws InvalidArgumentError.
// Unknown dimensions stay -1.
WindowGeometry MakeWindow(const std::string& op, const AttrMap& attrs, const Shape& image,
                          int64_t k_h, int64_t k_w);
// With the window of the attribute ksize.
WindowGeometry MakePoolWindow(const std::string& op, const AttrMap& attrs, const Shape& image);

// Attribute values of a builder: {2, 2} -> [1, 2, 2, 1]. Throws InvalidArgumentError
// unless there are two.
std::vector<int64_t> FourOf(const std::string& op, const char* what,
                            const std::vector<int64_t>& height_width);

}  // namespace tributary

#pragma once
// 2-D convolution of NHWC images by register tiles (ops/linalg/gemm_tile.h), without
// an im2col copy: in NHWC a filter row of one output pixel is contiguous in the image,
// and the next pixel's lies `stride * channels` further, so a row of output pixels is
// a matrix product with overlapping rows of A.
//
// Prepared once per geometry; bits do not depend on the number of threads. Scratch is
// aligned to 64. Filters are HWIO.

#include "ops/nn/window.h"

namespace tributary {

struct ConvSpec {
  WindowGeometry window;
  int64_t filters = 0;
};

// out = act(conv(in, filter) + bias)
class ConvForward {
 public:
  explicit ConvForward(const ConvSpec& spec, bool relu = false);
  size_t scratch_bytes() const;
  // bias: null, or [filters].
  void Run(const float* in, const float* filter, const float* bias, float* out,
           void* scratch) const;

 private:
  void RunRows(const float* image, const float* filter, const float* bias, float* out,
               int64_t begin, int64_t end) const;
  ConvSpec s_;
  bool relu_, padded_, dilated_;
  int64_t rows_, row_pixels_, image_h_, image_w_, blocks_;
};

// in_grad, and 0 where mask (of its shape) is not positive.
class ConvBackpropInput {
 public:
  explicit ConvBackpropInput(const ConvSpec& spec) : s_(spec) {}
  size_t scratch_bytes() const;
  void Run(const float* filter, const float* out_grad, const float* mask, float* in_grad,
           void* scratch) const;

 private:
  void RunImage(const float* transposed, const float* out_grad, float* in_grad) const;
  ConvSpec s_;
};

// filter_grad, and the sum of out_grad over all pixels.
class ConvBackpropFilter {
 public:
  explicit ConvBackpropFilter(const ConvSpec& spec);
  size_t scratch_bytes() const;
  // bias_grad: null, or [filters].
  void Run(const float* in, const float* out_grad, float* filter_grad, float* bias_grad,
           void* scratch) const;

 private:
  // Where one group of images sums up.
  struct Group {
    float* filter_grad;
    float* bias_grad;  // or null
    float* image_bias;
    int64_t first_image, last_image;
  };
  Group GroupOf(int64_t i, float* filter_grad, float* bias_grad, float* scratch) const;
  void RunTiles(const float* image, const float* out_grad, const Group& group,
                int64_t first_tile, int64_t last_tile) const;
  void RunTile(const float* image, const float* out_grad, float* filter_grad, int64_t tile,
               bool accumulate) const;
  int64_t tiles() const { return s_.window.k_h * runs_ * blocks_ * panels_; }
  int64_t filter_size() const { return s_.window.k_h * row_size_ * runs_ * s_.filters; }
  ConvSpec s_;
  bool padded_;
  // A filter row consists of `runs_` contiguous runs of `row_size_` in the image.
  int64_t image_h_, image_w_, row_size_, runs_, columns_, blocks_, panels_, groups_;
};

}  // namespace tributary

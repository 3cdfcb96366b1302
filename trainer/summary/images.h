#pragma once
// Batches of examples as what the images dashboard shows.

#include "core/tensor/tensor.h"

namespace tributary {

// The first `count` examples as uint8 or float32 images [n, height, width, channels];
// undefined when they are none: images are [n, height, width] or [n, height, width,
// 1..4] of uint8 or float32, at least 2 x 2. Floats beyond [0, 1] are mapped into it,
// all by the same line, so that normalised images can be seen. Copies.
Tensor AsImages(const Tensor& batch, int64_t count);

}  // namespace tributary

#include "trainer/summary/images.h"

#include <algorithm>
#include <cmath>

namespace tributary {
namespace {

// Maps what lies beyond [0, 1] into it; what is not finite stays.
void StretchInto01(Tensor* images) {
  float low = 0, high = 1;
  for (const float v : images->values<float>()) {
    if (!std::isfinite(v)) continue;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  if (low == 0 && high == 1) return;
  float* data = images->mutable_data<float>();
  for (int64_t i = 0; i < images->NumElements(); ++i) {
    data[i] = (data[i] - low) / (high - low);
  }
}

}  // namespace

Tensor AsImages(const Tensor& batch, int64_t count) {
  const bool grey = batch.rank() == 3;
  if (!grey && batch.rank() != 4) return {};
  if (batch.dtype() != DType::kUint8 && batch.dtype() != DType::kFloat32) return {};
  if (batch.dim(0) < 1 || batch.dim(1) < 2 || batch.dim(2) < 2) return {};
  if (!grey && (batch.dim(3) < 1 || batch.dim(3) > 4)) return {};
  const int64_t shown = std::min(batch.dim(0), count);
  Tensor images =
      batch.Slice(0, shown).Clone().Reshaped({shown, batch.dim(1), batch.dim(2),
                                              grey ? 1 : batch.dim(3)});
  if (images.dtype() == DType::kFloat32) StretchInto01(&images);
  return images;
}

}  // namespace tributary

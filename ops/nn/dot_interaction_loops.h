#pragma once
// The loops of _DotInteraction, vectorised and shared out among the compute team by
// examples.

#include <cstdint>

namespace tributary {

struct DotShapes {
  int64_t batch, features, width;
};

// x: [batch, features, width] -> out: [batch, features * (features - 1) / 2].
void DotInteraction(const DotShapes& shapes, const float* x, float* out);
// The gradient of x, from that of the products.
void DotInteractionGrad(const DotShapes& shapes, const float* grad, const float* x, float* out);

}  // namespace tributary

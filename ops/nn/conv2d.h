#pragma once
// What the convolution ops and their fused forms share.

#include "ops/nn/conv_tiles.h"

namespace tributary {

// Geometry of a convolution node, checked: InvalidArgumentError names the op. Unknown
// dimensions stay -1.
WindowGeometry ConvWindow(const std::string& op, const AttrMap& attrs, const Shape& image,
                          const Shape& filter);
ConvSpec ConvSpecOf(const PrepareContext& c, const Shape& image, const Shape& filter);
// strides, dilations and padding alone.
AttrMap ConvWindowAttrs(const AttrMap& attrs);

// Shape rules; fused forms have more inputs after these.
void Conv2DShape(InferenceContext& c);
void Conv2DBackpropInputShape(InferenceContext& c);
void Conv2DBackpropFilterShape(InferenceContext& c);

}  // namespace tributary

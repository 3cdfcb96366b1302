#pragma once
// Options that several layers have, with Keras's names and defaults, and the
// things that they stand for.

#include "trainer/model/layer.h"

namespace tributary::layers {

inline OptionSpec ActivationOption() {
  return Opt("activation").Of("activation").Default("linear");
}
inline OptionSpec InitializerOption(std::string name, const char* value) {
  return Opt(std::move(name)).Of("initializer").Default(value);
}
inline OptionSpec RegularizerOption(std::string name) {
  return Opt(std::move(name)).Of("regularizer").Doc("null: none");
}

inline ActivationFn ActivationFrom(const Options& options) {
  return Activations().Build(options.Child("activation"));
}
inline std::shared_ptr<Initializer> InitializerFrom(const Options& options,
                                                    const std::string& name) {
  return Initializers().Build(options.Child(name));
}
// Null when there is none.
inline std::shared_ptr<Regularizer> RegularizerFrom(const Options& options,
                                                    const std::string& name) {
  return options.Has(name) ? Regularizers().Build(options.Child(name)) : nullptr;
}

// Throws InvalidArgumentError unless `shape` has this rank.
inline void RequireRank(const Layer& layer, const Shape& shape, int rank) {
  if (!shape.unknown_rank() && shape.rank() != rank) {
    throw InvalidArgumentError("[{}] layer '{}' takes inputs of rank {}, got shape {}",
                               layer.class_name(), layer.name(), rank, shape.ToString());
  }
}

// The size of the last axis, which must be known.
inline int64_t LastDim(const Layer& layer, const Shape& shape) {
  const int64_t dim = shape.rank() > 0 ? shape.dim(-1) : Shape::kUnknownDim;
  if (dim < 0) {
    throw InvalidArgumentError(
        "[{}] layer '{}' needs an input whose last axis is known, got shape {}",
        layer.class_name(), layer.name(), shape.ToString());
  }
  return dim;
}

// Size of one axis after a window went over it.
inline int64_t WindowedSize(int64_t size, int64_t window, int64_t stride,
                            const std::string& padding, int64_t dilation) {
  if (size < 0) return size;
  if (padding == "same") return (size + stride - 1) / stride;
  return (size - ((window - 1) * dilation + 1)) / stride + 1;
}

// NHWC images after a window went over their two axes; the channels stay. `what` is the
// window's name in the message of a window that is too large. Throws InvalidArgumentError.
inline Shape WindowedImages(const Layer& layer, const char* what, const Shape& images,
                            const std::vector<int64_t>& window,
                            const std::vector<int64_t>& strides, const std::string& padding,
                            const std::vector<int64_t>& dilations = {1, 1}) {
  RequireRank(layer, images, 4);
  Shape shape = images;
  for (int axis : {0, 1}) {
    const int64_t size = WindowedSize(images[axis + 1], window[axis], strides[axis], padding,
                                      dilations[axis]);
    if (size < 1 && images[axis + 1] >= 0) {
      throw InvalidArgumentError("[{}] layer '{}': {} {}x{} is larger than the image in {}",
                                 layer.class_name(), layer.name(), what, window[0], window[1],
                                 images.ToString());
    }
    shape.set_dim(axis + 1, size);
  }
  return shape;
}

// "valid" -> "VALID".
inline std::string PaddingAttr(const std::string& padding) {
  return padding == "same" ? "SAME" : "VALID";
}

}  // namespace tributary::layers

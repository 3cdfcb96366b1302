#pragma once
// Initial values of weights (keras.initializers). A value is a pure function of
// (initializer, shape, dtype, seed).
//
//   Initializers().Make("GlorotUniform", {})->Make({784, 128}, DType::kFloat32, seed)
//
// Fans follow Keras: a matrix is [fan_in, fan_out]; convolution kernels
// [..., in, out] multiply both by the window.

#include <memory>

#include "core/base/option_registry.h"
#include "core/tensor/tensor.h"

namespace tributary {

class Initializer {
 public:
  virtual ~Initializer() = default;
  // Throws InvalidArgumentError for a dtype that is not floating (zeros, ones and
  // constants take any plain dtype).
  virtual Tensor Make(const Shape& shape, DType dtype, uint64_t seed) const = 0;
  // What it was built from.
  virtual const Options& get_config() const = 0;
};

using InitializerRegistry = OptionRegistry<std::shared_ptr<Initializer>(const Options&)>;
InitializerRegistry& Initializers();

#define REGISTER_INITIALIZER(...)                                           \
  [[maybe_unused]] static const ::tributary::InitializerRegistry::Registrar \
      TRB_UNIQUE(trb_initializer_)(::tributary::Initializers(), __VA_ARGS__)

}  // namespace tributary

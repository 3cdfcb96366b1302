#pragma once
// Penalties on weights, added to the loss (keras.regularizers).

#include <memory>

#include "core/base/option_registry.h"
#include "core/tensor/tensor.h"

namespace tributary {

class Regularizer {
 public:
  virtual ~Regularizer() = default;
  // A scalar, concrete or symbolic as `weight` is.
  virtual Tensor operator()(const Tensor& weight) const = 0;
};

using RegularizerRegistry = OptionRegistry<std::shared_ptr<Regularizer>(const Options&)>;
RegularizerRegistry& Regularizers();

#define REGISTER_REGULARIZER(...)                                           \
  [[maybe_unused]] static const ::tributary::RegularizerRegistry::Registrar \
      TRB_UNIQUE(trb_regularizer_)(::tributary::Regularizers(), __VA_ARGS__)

}  // namespace tributary

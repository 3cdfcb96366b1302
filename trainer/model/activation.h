#pragma once
// Element-wise (and softmax) activations (keras.activations), by name.

#include <functional>
#include <memory>

#include "core/base/option_registry.h"
#include "core/tensor/tensor.h"

namespace tributary {

// x -> activation(x). "linear" gives x itself.
using ActivationFn = std::function<Tensor(const Tensor&)>;

using ActivationRegistry = OptionRegistry<ActivationFn(const Options&)>;
ActivationRegistry& Activations();

#define REGISTER_ACTIVATION(...)                                           \
  [[maybe_unused]] static const ::tributary::ActivationRegistry::Registrar \
      TRB_UNIQUE(trb_activation_)(::tributary::Activations(), __VA_ARGS__)

}  // namespace tributary

// Activation as a layer of its own (keras.layers.Activation).

#include "trainer/layers/options.h"

namespace tributary {
namespace {

class ActivationLayer final : public Layer {
 public:
  explicit ActivationLayer(const Options& o)
      : Layer(o), activation_(layers::ActivationFrom(o)) {}

 protected:
  Tensor Call(const std::vector<Tensor>& inputs, CallContext&) override {
    return activation_(inputs[0]);
  }

 private:
  ActivationFn activation_;
};

REGISTER_LAYER(LayerTable("Activation", "Applies an activation.",
                          {Opt("activation").Of("activation").Required()}),
               [](const Options& o) { return std::make_shared<ActivationLayer>(o); });

}  // namespace
}  // namespace tributary

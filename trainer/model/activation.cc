#include "trainer/model/activation.h"

#include "ops/math_ops.h"
#include "ops/nn_ops.h"

namespace tributary {

ActivationRegistry& Activations() {
  static ActivationRegistry registry("activation");
  return registry;
}

namespace {

ActivationRegistry::Factory Plain(Tensor (*fn)(const Tensor&)) {
  return [fn](const Options&) { return ActivationFn(fn); };
}

REGISTER_ACTIVATION(OptionTable{"linear", "x.", {}},
                    [](const Options&) { return ActivationFn([](const Tensor& x) { return x; }); });
REGISTER_ACTIVATION(OptionTable{"relu", "max(x, 0).", {}}, Plain(ops::Relu));
REGISTER_ACTIVATION(OptionTable{"relu6", "min(max(x, 0), 6).", {}}, Plain(ops::Relu6));
REGISTER_ACTIVATION(OptionTable{"sigmoid", "1 / (1 + exp(-x)).", {}}, Plain(ops::Sigmoid));
REGISTER_ACTIVATION(OptionTable{"tanh", "Hyperbolic tangent.", {}}, Plain(ops::Tanh));
REGISTER_ACTIVATION(OptionTable{"softmax", "exp(x) over its sum along the last axis.", {}},
                    Plain(ops::Softmax));
REGISTER_ACTIVATION(OptionTable{"log_softmax", "log(softmax(x)).", {}},
                    Plain(ops::LogSoftmax));
REGISTER_ACTIVATION(OptionTable{"softplus", "log(1 + exp(x)).", {}}, Plain(ops::Softplus));
REGISTER_ACTIVATION(OptionTable{"softsign", "x / (1 + |x|).", {}}, Plain(ops::Softsign));
REGISTER_ACTIVATION(OptionTable{"elu", "x, or exp(x) - 1 below 0.", {}}, Plain(ops::Elu));
REGISTER_ACTIVATION(OptionTable{"selu", "Scaled elu.", {}}, Plain(ops::Selu));
REGISTER_ACTIVATION(OptionTable{"silu", "x * sigmoid(x).", {}, {"swish"}}, Plain(ops::Silu));
REGISTER_ACTIVATION(OptionTable{"exponential", "exp(x).", {}}, Plain(ops::Exp));
REGISTER_ACTIVATION(
    OptionTable{"gelu", "x times the normal distribution function.",
                {Opt("approximate").Bool().Default(false)}},
    [](const Options& o) {
      return ActivationFn([approximate = o.Bool("approximate")](const Tensor& x) {
        return ops::Gelu(x, approximate);
      });
    });
REGISTER_ACTIVATION(
    OptionTable{"leaky_relu", "x, or negative_slope * x below 0.",
                {Opt("negative_slope").Float().Min(0).Default(0.2)}},
    [](const Options& o) {
      return ActivationFn([alpha = static_cast<float>(o.Float("negative_slope"))](
                              const Tensor& x) { return ops::LeakyRelu(x, alpha); });
    });

}  // namespace
}  // namespace tributary

#include "ops/nn/fused_activation.h"

namespace tributary {
namespace {

struct Entry {
  const char* name;
  ActivationLoop loop;
};
constexpr Entry kActivations[] = {
    {"Relu", ActivationLoop::kRelu},         {"Relu6", ActivationLoop::kRelu6},
    {"LeakyRelu", ActivationLoop::kLeakyRelu}, {"Elu", ActivationLoop::kElu},
    {"Sigmoid", ActivationLoop::kSigmoid},   {"Tanh", ActivationLoop::kTanh},
    {"GeluExact", ActivationLoop::kGelu},    {"GeluApproximate", ActivationLoop::kGeluTanh},
};

}  // namespace

FusedActivation ParseFusedOps(const std::string& op, const AttrMap& attrs) {
  const auto& names = attrs.Get<std::vector<std::string>>("fused_ops");
  FusedActivation fused;
  fused.alpha = attrs.GetOr<float>("leakyrelu_alpha", 0.2f);
  if (names.size() == 1 && names[0] == "ReluGrad") {
    fused.mask = true;
    return fused;
  }
  fused.bias = !names.empty() && names[0] == "BiasAdd";
  if (fused.bias && names.size() == 1) return fused;
  if (fused.bias && names.size() == 2) {
    for (const Entry& entry : kActivations) {
      if (names[1] == entry.name) fused.activation = entry.loop;
    }
    if (fused.activation) return fused;
  }
  throw InvalidArgumentError("[{}] fused_ops [{}] is not supported", op, Join(names, ", "));
}

std::string FusedActivationName(const std::string& op, const AttrMap& attrs) {
  if (op == "_Gelu") return attrs.Get<bool>("approximate") ? "GeluApproximate" : "GeluExact";
  for (const Entry& entry : kActivations) {
    if (op == entry.name) return op;
  }
  return "";
}

}  // namespace tributary

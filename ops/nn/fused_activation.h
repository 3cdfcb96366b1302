#pragma once
// The attribute fused_ops of _FusedMatMul and _FusedConv2D.

#include <optional>

#include "ops/nn/activation_loops.h"

namespace tributary {

struct FusedActivation {
  bool bias = false;  // args[0] is added to the last axis
  bool mask = false;  // ReluGrad: args[0] are the features
  std::optional<ActivationLoop> activation;
  float alpha = 0;
};

// Throws InvalidArgumentError for a combination that has no kernel.
FusedActivation ParseFusedOps(const std::string& op, const AttrMap& attrs);

// The name in fused_ops of an activation node ("Relu", "GeluExact", ...), or "" when
// it can't be fused.
std::string FusedActivationName(const std::string& op, const AttrMap& attrs);

}  // namespace tributary

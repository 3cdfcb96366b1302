#pragma once
// TF_CONFIG, as tfconfig_cluster_resolver.py reads it:
//   {"cluster": {"chief": ["h0:2222"], "worker": ["h1:2222"], "ps": {"0": "h3:2222"}},
//    "task": {"type": "worker", "index": 0}, "rpc_layer": "grpc"}
// A job is a list or a sparse map; `index` may be text; an empty object means
// that this process is alone.

#include <string>

#include "distribute/cluster/cluster.h"

namespace tributary {

// Throws InvalidArgumentError with the position for text that is no JSON, and
// with the path of the key (`cluster.worker[1]`) for anything else.
Cluster ParseTfConfig(const std::string& json);

}  // namespace tributary

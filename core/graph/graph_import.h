#pragma once
// From a GraphDef message to a Graph: graphdef.h without the bytes.

#include <memory>

#include "core/graph/node.h"

namespace tributary {

namespace proto {
class GraphDef;
}

std::unique_ptr<Graph> ImportGraphDef(const proto::GraphDef& def);

}  // namespace tributary

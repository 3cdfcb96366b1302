#pragma once
// Graphs as TensorFlow's GraphDef (tensorflow/core/framework/graph.proto) and
// back. What is written imports into TensorFlow, except for ops whose names
// start with '_', which are ours alone.

#include <memory>
#include <string>
#include <string_view>

#include "core/graph/node.h"

namespace tributary {

// Tributary's messages need no TensorFlow newer than this (versions.producer).
inline constexpr int kGraphDefProducer = 1394;

struct GraphDefOptions {
  // Adds `_output_shapes`, which TensorBoard draws along the edges.
  bool output_shapes = false;
};

// Binary; equal graphs give equal bytes.
std::string GraphDefBytes(const Graph& graph, const GraphDefOptions& options = {});
// As in a .pbtxt.
std::string GraphDefText(const Graph& graph, const GraphDefOptions& options = {});

// The bytes may come from anywhere: names, edges, attributes, dtypes and shapes
// are checked before a node is made, and by the schema of its op afterwards.
// Nodes may come in any order. Variables behind handles are attached by who runs
// the graph (Session). Throws DataLossError for bytes that are no message,
// InvalidArgumentError naming the node, NotFoundError for an unknown op,
// UnimplementedError for functions.
std::unique_ptr<Graph> GraphFromDef(std::string_view bytes);
std::unique_ptr<Graph> GraphFromDefText(const std::string& text);

}  // namespace tributary

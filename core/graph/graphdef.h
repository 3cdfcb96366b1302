#pragma once
// Graphs as TensorFlow's GraphDef (tensorflow/core/framework/graph.proto) and
// back.
//
// Ops whose names start with '_' (fused ones of an optimised plan) have no
// counterpart in TensorFlow; traced graphs hold none.

#include <memory>
#include <string>

#include "core/graph/node.h"

namespace tributary {

// versions.producer that we write: TensorFlow 2.12's. Any reader accepts it.
inline constexpr int kGraphDefProducer = 1394;

// A serialized GraphDef; equal graphs give equal bytes. Throws
// FailedPreconditionError when it would exceed protobuf's 2 GiB.
std::string GraphDefBytes(const Graph& graph);

// The same as protobuf text, for people.
std::string GraphDefText(const Graph& graph);

// A graph from serialized GraphDef. Every VarHandleOp gets a variable of its own,
// filled with zeros. Shapes are inferred again. Throws DataLossError for bytes
// that are no GraphDef and InvalidArgumentError, naming the node, for unknown
// ops, duplicate names, missing inputs, cycles, functions and bad attributes.
std::unique_ptr<Graph> GraphFromGraphDef(const std::string& bytes);

}  // namespace tributary

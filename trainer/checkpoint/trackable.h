#pragma once
// What a checkpoint holds, as a graph of named edges (tf.train.Checkpoint's
// object graph). TensorFlow finds a variable by walking edges from the root, so
// a node may be reached by several names: Keras 2's and Keras 3's.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace tributary {

struct Trackable;
using TrackablePtr = std::shared_ptr<Trackable>;

// A variable when `tensor` is defined, else a container.
struct Trackable {
  struct Edge {
    std::string name;
    TrackablePtr node;
    // Saved and restored by key, but no part of the graph that TensorFlow sees:
    // it would wonder about objects of ours that it can't have.
    bool hidden = false;
  };
  std::vector<Edge> edges;

  std::string full_name;  // "dense/kernel"
  Tensor tensor;          // the live storage: restoring writes into it

  static TrackablePtr Container() { return std::make_shared<Trackable>(); }
  static TrackablePtr Variable(std::string full_name, Tensor storage);

  // Adds an edge. A name with slashes makes the containers between: "_momentums/0"
  // is child "0" of child "_momentums". Adding an existing edge to the same node is
  // fine; to another it throws InvalidArgumentError. Returns `node`.
  TrackablePtr Add(const std::string& path, TrackablePtr node);
  // Null when there is none.
  TrackablePtr Find(const std::string& path) const;
};

// A saved variable and the key of its bytes.
struct TrackedVariable {
  std::string key;  // "model/layer-1/kernel/.ATTRIBUTES/VARIABLE_VALUE"
  TrackablePtr node;
};

// Every variable below `root`, once, with the key that TensorFlow would give it:
// edge names of the shortest route, escaped.
std::vector<TrackedVariable> ListVariables(const TrackablePtr& root);

// The bytes of TensorFlow's TrackableObjectGraph for `root`, without hidden edges.
std::string SerializeObjectGraph(const TrackablePtr& root);

// Where the bytes of each live variable are, in an object graph read from a
// file: walks both from their roots along equal edge names.
struct GraphMatch {
  std::vector<TrackedVariable> matched;    // key as in the file
  std::vector<TrackedVariable> unmatched;  // live variables that the file has not
};
// Throws DataLossError naming `file` when the graph is malformed.
GraphMatch MatchObjectGraph(const std::string& graph, const TrackablePtr& root,
                            const std::string& file);

}  // namespace tributary

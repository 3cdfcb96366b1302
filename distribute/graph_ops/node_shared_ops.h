#pragma once
// The update of node-shared buckets as nodes of a graph. None is TensorFlow's.
//
//   NodeSharedBegin(key, gradients, buckets)    every rank's gradients are complete
//   slice = NodeSharedReduce(key, gradient, bucket, slice)
//   total = NodeSharedSum(key, x, name)         small vectors, over the ranks
//   ... update of the own slice ...
//   NodeSharedEnd(key, slices)                  everybody's variables are updated
//
// `key` numbers a NodeGroup in NodeGroups(). The nodes are stateful: they run in
// program order.

#include "core/tensor/tensor.h"
#include "distribute/comm/node_shared/node_group.h"
#include "distribute/graph_ops/object_table.h"

namespace tributary {

ObjectTable<NodeGroup>& NodeGroups();

// Waits until every rank's gradients lie in their segments (one that lies
// elsewhere is copied), and nobody reads common memory any more.
void NodeSharedBegin(int64_t key, const std::vector<Tensor>& gradients,
                     const std::vector<std::string>& buckets);
// Elements [slice.begin, slice.end()) summed over the segments of `bucket` in rank
// order. `gradient` is this rank's.
Tensor NodeSharedReduce(int64_t key, const Tensor& gradient, const std::string& bucket,
                        Slice slice);
// The sum over the ranks of a small tensor. NodeGroup::Segment(name) holds it.
Tensor NodeSharedSum(int64_t key, const Tensor& x, const std::string& name);
// Waits until every rank has updated its slices.
void NodeSharedEnd(int64_t key, const std::vector<Tensor>& slices);

}  // namespace tributary

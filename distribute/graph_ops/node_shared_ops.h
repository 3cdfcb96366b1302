#pragma once
// The update of node-shared buckets as nodes of a graph. None is TensorFlow's.
//
//   NodeSharedBegin(key, gradients, buckets)    every rank's gradients are complete
//   slice = NodeSharedReduce(key, gradient, bucket, slice, products)
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
// A part of the bucket that ranks give by factors: each rank's segment holds a[rows, m], and
// from the next line on b[rows, n]; it stands for transpose(a) x b.
struct SharedProduct {
  std::string segment;
  int64_t offset = 0;  // in the bucket
  int64_t rows = 0, m = 0, n = 0;

  int64_t end() const { return offset + m * n; }
  int64_t begin_of_b() const { return (rows * m + 15) / 16 * 16; }
  int64_t factor_elements() const { return begin_of_b() + rows * n; }
};
// Elements [slice.begin, slice.end()) summed over the ranks, in rank order: of the segments of
// `bucket`, or of the products (float32, ascending) that stand there; zero elsewhere where
// `bucket` is "". `gradient` is this rank's, or any other tensor that is shared.
Tensor NodeSharedReduce(int64_t key, const Tensor& gradient, const std::string& bucket,
                        Slice slice, const std::vector<SharedProduct>& products = {});
// The sum over the ranks of a small tensor. NodeGroup::Segment(name) holds it.
Tensor NodeSharedSum(int64_t key, const Tensor& x, const std::string& name);
// Waits until every rank has updated its slices.
void NodeSharedEnd(int64_t key, const std::vector<Tensor>& slices);

}  // namespace tributary

#pragma once
// UpdateStep: the tail of a training step as a strategy sees it while the step is
// traced: flat gradients in, updates of slices out. It knows the optimizer; the
// strategy knows who owns which slice.
//
//   one device        Apply(b, 0, size, gradient)
//   all-reduce        sum = AllReduce(gradient);  Apply(b, 0, size, sum)
//   node-shared       barrier; mine = sum over replicas of gradient[begin, end);
//                     Apply(b, begin, end, mine); barrier
//
// and, when NeedsNorms(), before any Apply:
//
//   norms = sum over buckets (and over replicas, where slices are owned) of
//           SquaredNorms(b, begin, end, slice of the summed gradient)
//
// Nodes added here are stateful and keep their program order.

#include <memory>
#include <string>
#include <vector>

#include "core/runtime/variable.h"
#include "core/tensor/tensor.h"
#include "trainer/model/remote_table.h"

namespace tributary {

// All trainable variables of one dtype, flat, in the order in which the backward
// pass finishes their gradients. Members start at multiples of 64 bytes; the
// padding between them is zero in every buffer and stays so.
struct FlatBucket {
  // What AllocateBucket was called with for each kind; unique in the model.
  std::string name;
  DType dtype = DType::kFloat32;
  int64_t size = 0;  // elements, padding included
  // One flat variable and the slots of the optimizer, each [size]. Their memory
  // came from AllocateBucket(kVariables / kSlots).
  std::shared_ptr<Variable> variables;
  std::vector<std::shared_ptr<Variable>> slots;

  struct Member {
    std::string name;  // "dense/kernel"
    int64_t begin = 0, end = 0;
    Shape shape;
  };
  // Ascending; a gradient bucket may be sent in pieces cut at these places: a
  // prefix is complete before the rest of the backward pass has run.
  std::vector<Member> members;

  // Symbolic, [size]: what this replica contributes to the gradient of the mean
  // loss over the global batch (the contributions add up to it), lying in the
  // memory of AllocateBucket(kGradients, name). Undefined: nothing but products.
  Tensor gradient;

  // What is not in it: this replica contributes transpose(a) x b to the gradient of
  // members[member]. Only where the strategy asks for it (Strategy::TakesProduct).
  struct Product {
    int member = 0;
    Tensor a, b;  // symbolic float32, [rows, m] and [rows, n]; rows: those of every replica
  };
  std::vector<Product> products;  // ascending
};

// The gradient of a lookup in a table that lives elsewhere: what this replica contributes
// for each id that was looked up.
struct LookupGradient {
  RemoteTablePtr table;
  int lookup = 0;  // number among the step's lookups
  Tensor values;   // float32 [ids, width]
  Tensor ids;      // int32 [ids]: rows of RemoteTable::Rows::table, negative: none
};

class UpdateStep {
 public:
  virtual ~UpdateStep() = default;

  virtual const std::vector<FlatBucket>& buckets() const = 0;
  // Of ParameterService::tables; whoever has those sends them there.
  virtual const std::vector<LookupGradient>& rows() const = 0;

  // True when the optimizer clips by norms: then Apply wants them.
  virtual bool NeedsNorms() const = 0;

  // Partial squared norms of elements [begin, end) of the combined gradient
  // (`gradient` is symbolic, [end - begin]). A float32 vector whose length is the
  // same for every bucket and slice; add them all up, over buckets and owners.
  virtual Tensor SquaredNorms(int bucket, int64_t begin, int64_t end,
                              const Tensor& gradient) = 0;

  // Adds the nodes that clip the slice and update the variables and slots in
  // [begin, end). `norms` is the complete sum of SquaredNorms, or undefined when
  // !NeedsNorms(). Each element must be applied once on each copy of its memory.
  virtual void Apply(int bucket, int64_t begin, int64_t end, const Tensor& gradient,
                     const Tensor& norms) = 0;
};

}  // namespace tributary

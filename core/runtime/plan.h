#pragma once
// Plan: a graph made ready to run over and over.
//
// Building prunes, folds, merges and fuses the graph, prepares every kernel,
// orders them, and lays all intermediate tensors out in one arena with reuse.
// Running is a walk over an array of launches with fixed addresses: it allocates
// nothing, looks nothing up and takes no lock. A Plan is run by one thread at a
// time.

#include <memory>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/graph/node.h"
#include "core/tensor/tensor.h"

namespace tributary {

// Memory for tensors that must lie at a place of the strategy's choosing (a
// gradient bucket in a window shared by the ranks of a host). Returns at least
// `bytes`, aligned to 64, valid as long as the plan.
using BucketMemory = std::function<std::shared_ptr<Buffer>(const std::string& bucket, size_t bytes)>;

struct PlanOptions {
  Device* device = CpuDevice();
  bool fold = true, cse = true, fuse = true;  // off: for tests and `--no-fuse`
  bool reuse_memory = true;
  // For nodes with a `bucket` attribute (_FlatPack). Null: plain memory.
  BucketMemory bucket_memory;
};

// What `tributary graph` prints.
struct PlanReport {
  struct Step {
    std::string name, op;
    std::string output;               // "float32 (32, 128)"
    bool in_arena = false;            // else in a bucket, a variable, a fetch or a constant
    size_t arena_offset = 0, bytes = 0;
    bool in_place = false, asynchronous = false;
    std::vector<std::string> fused;   // ops that this one replaced
    std::vector<std::string> inputs;
  };
  int nodes_traced = 0, nodes_pruned = 0, nodes_folded = 0, nodes_merged = 0, nodes_fused = 0;
  std::vector<std::string> fusions;   // "MatMul+BiasAdd+Relu dense/MatMul"
  size_t arena_bytes = 0;             // planned
  size_t naive_bytes = 0;             // one buffer a tensor
  size_t scratch_bytes = 0, constant_bytes = 0, variable_bytes = 0, bucket_bytes = 0;
  std::vector<Step> steps;            // the schedule
};

class Plan {
 public:
  // `feeds` (Placeholders) and `fetches` are symbolic tensors of `graph`,
  // `targets` are nodes to run for their effects. feed_specs: concrete dtype and
  // shape of each feed. The graph itself is not changed.
  // Throws InvalidArgumentError (a feed that is missing or does not fit).
  static std::unique_ptr<Plan> Build(const Graph& graph, const std::vector<Tensor>& feeds,
                                     const std::vector<TensorSpec>& feed_specs,
                                     const std::vector<Tensor>& fetches,
                                     const std::vector<Node*>& targets,
                                     const PlanOptions& options = {});
  virtual ~Plan() = default;

  // Points feed i at `data` (of the planned dtype and shape), which must stay
  // valid until Run returned. Costs one store per use of the feed. No checks: the
  // caller of a hot loop has compared specs once.
  virtual void BindInput(int i, const void* data) = 0;
  // The same with checks; holds the tensor's memory until the next call. Throws
  // InvalidArgumentError naming the feed and both specs.
  virtual void BindInput(int i, const Tensor& tensor) = 0;

  // Fetch i: a view of plan memory that the next Run overwrites (or of a
  // variable). Same address every time.
  virtual const Tensor& output(int i) const = 0;
  virtual int num_outputs() const = 0;

  // Runs every step. Throws what kernels throw, naming the node.
  virtual void Run() = 0;

  virtual const PlanReport& report() const = 0;
};

}  // namespace tributary

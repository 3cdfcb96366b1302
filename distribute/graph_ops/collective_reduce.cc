// CollectiveReduceV2 (tensorflow/core/ops/collective_ops.cc): an all-reduce as a
// node of the graph, in place where it can be.

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "distribute/graph_ops/collective_group.h"

namespace tributary {

ObjectTable<CollectiveGroup>& CollectiveGroups() {
  static auto* table = new ObjectTable<CollectiveGroup>("CollectiveReduceV2");
  return *table;
}

namespace {

ReduceOp OpOf(const PrepareContext& c) {
  const std::string& merge = c.attr<std::string>("merge_op");
  if (merge == "Max") return ReduceOp::kMax;
  if (merge == "Min") return ReduceOp::kMin;
  if (merge == "Mul") throw UnimplementedError("[CollectiveReduceV2] merge_op Mul");
  return c.attr<std::string>("final_op") == "Div" ? ReduceOp::kMean : ReduceOp::kSum;
}

// What both kinds share: the input's bytes are put into the output and reduced
// there.
struct Reduction {
  std::shared_ptr<CollectiveGroup> group;
  int64_t count;
  DType dtype;
  ReduceOp op;
  CallOptions options;

  DataRef Start(const LaunchArgs& args) const {
    if (args.in[0] != args.out[0] && count > 0) {
      std::memcpy(args.out[0], args.in[0], count * DTypeSize(dtype));
    }
    return {args.out[0], count, dtype};
  }
};

class InlineReduce final : public Kernel {
 public:
  explicit InlineReduce(Reduction reduction) : r_(std::move(reduction)) {}
  void Launch(const LaunchArgs& args) override {
    r_.group->comm().AllReduce(r_.Start(args), r_.op, r_.options);
  }

 private:
  Reduction r_;
};

class QueuedReduce final : public AsyncKernel {
 public:
  explicit QueuedReduce(Reduction reduction) : r_(std::move(reduction)) {}
  void Launch(const LaunchArgs& args) override {
    r_.group->queue()->AllReduce(r_.Start(args), r_.op, &work_, r_.options);
  }
  void Finish() override { work_.Wait(); }

 private:
  Reduction r_;
  Work work_;
};

std::unique_ptr<Kernel> Make(PrepareContext& c) {
  const std::vector<int64_t> size = c.constant_ints(1), key = c.constant_ints(2);
  Reduction r{CollectiveGroups().Get(key[0]), c.in_shape(0).NumElements(), c.in_dtype(0), OpOf(c),
              {}};
  if (r.group->size() != size[0]) {
    throw InvalidArgumentError("[CollectiveReduceV2] group_size {}; group {} has {} ranks", size[0],
                               key[0], r.group->size());
  }
  const float seconds = c.attr<float>("timeout_seconds");
  if (seconds > 0) r.options.timeout = Millis(static_cast<int64_t>(seconds * 1e3));
  c.allow_in_place(0, 0);
  if (r.group->queue() == nullptr) return std::make_unique<InlineReduce>(std::move(r));
  return std::make_unique<QueuedReduce>(std::move(r));
}

}  // namespace

REGISTER_OP("CollectiveReduceV2")
    .Input("input: T")
    .Input("group_size: int32")
    .Input("group_key: int32")
    .Input("instance_key: int32")
    .Input("ordering_token: Nordering_token * resource")
    .Output("data: T")
    .Attr("T: {float32, float64, int32, int64}")
    .Attr("merge_op: {'Min', 'Max', 'Mul', 'Add'}")
    .Attr("final_op: {'Id', 'Div'}")
    .Attr("communication_hint: string = \"auto\"")
    .Attr("timeout_seconds: float = 0")
    .Attr("is_stateless: bool = false")
    .Attr("Nordering_token: int >= 0 = 0")
    .Attr("max_subdivs_per_device: int = -1")
    .Stateful()
    .NotDifferentiable()
    .Shape([](InferenceContext& c) { c.set_output(0, c.shape(0)); });
REGISTER_KERNEL("CollectiveReduceV2", DeviceType::kCpu, {}, Make);

Tensor CollectiveReduce(const Tensor& input, int64_t group_key, ReduceOp op) {
  const char* merge = op == ReduceOp::kMax ? "Max" : op == ReduceOp::kMin ? "Min" : "Add";
  return Execute1("CollectiveReduceV2",
                  {input, Tensor(static_cast<int32_t>(CollectiveGroups().Get(group_key)->size())),
                   Tensor(static_cast<int32_t>(group_key)), Tensor(int32_t{0})},
                  {{"merge_op", std::string(merge)},
                   {"final_op", std::string(op == ReduceOp::kMean ? "Div" : "Id")}});
}

}  // namespace tributary

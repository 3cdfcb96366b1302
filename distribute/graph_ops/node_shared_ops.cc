#include "distribute/graph_ops/node_shared_ops.h"

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"

namespace tributary {

ObjectTable<NodeGroup>& NodeGroups() {
  static auto* table = new ObjectTable<NodeGroup>("node_shared");
  return *table;
}

namespace {

std::shared_ptr<NodeGroup> GroupOf(const PrepareContext& c) {
  return NodeGroups().Get(c.attr<int64_t>("group_key"));
}

std::unique_ptr<Kernel> MakeBegin(PrepareContext& c) {
  const auto group = GroupOf(c);
  const auto& buckets = c.attr<std::vector<std::string>>("segments");
  if (static_cast<int>(buckets.size()) != c.num_inputs()) {
    throw InvalidArgumentError("[_NodeSharedBegin] {} buckets for {} gradients", buckets.size(),
                               c.num_inputs());
  }
  struct Home {
    void* segment = nullptr;  // known at the first launch: the plan asks for it later
    size_t bytes = 0;
  };
  std::vector<Home> homes;
  for (int i = 0; i < c.num_inputs(); ++i) {
    homes.push_back({nullptr, c.in_shape(i).NumElements() * DTypeSize(c.in_dtype(i))});
  }
  return MakeKernel([group, buckets, homes](const LaunchArgs& args) mutable {
    for (size_t i = 0; i < homes.size(); ++i) {
      Home& home = homes[i];
      if (home.segment == nullptr) home.segment = group->SegmentOf(buckets[i], group->rank());
      if (args.in[i] != home.segment) std::memcpy(home.segment, args.in[i], home.bytes);
    }
    group->BeginUpdate();
  });
}

std::unique_ptr<Kernel> MakeReduce(PrepareContext& c) {
  const auto group = GroupOf(c);
  const std::string bucket = c.attr<std::string>("segment");
  const Slice slice{c.attr<int64_t>("begin"), c.attr<int64_t>("size")};
  const DType dtype = c.in_dtype(0);
  return MakeKernel([=](const LaunchArgs& args) {
    group->Reduce(bucket, dtype, ReduceOp::kSum, slice, 1, args.out[0]);
  });
}

std::unique_ptr<Kernel> MakeSum(PrepareContext& c) {
  const auto group = GroupOf(c);
  const std::string name = c.attr<std::string>("name");
  const int64_t count = c.in_shape(0).NumElements();
  const DType dtype = c.in_dtype(0);
  return MakeKernel([=](const LaunchArgs& args) {
    group->Sum(name, dtype, args.in[0], count, args.out[0]);
  });
}

std::unique_ptr<Kernel> MakeEnd(PrepareContext& c) {
  return MakeKernel([group = GroupOf(c)](const LaunchArgs&) { group->EndUpdate(); });
}

}  // namespace

REGISTER_OP("_NodeSharedBegin")
    .Input("gradients: Tgradients")
    .Attr("Tgradients: list(type)")
    .Attr("group_key: int")
    .Attr("segments: list(string)")
    .Stateful()
    .NotDifferentiable()
    .Shape([](InferenceContext&) {});
REGISTER_KERNEL("_NodeSharedBegin", DeviceType::kCpu, {}, MakeBegin);

REGISTER_OP("_NodeSharedReduce")
    .Input("gradient: T")
    .Output("slice: T")
    .Attr("T: {float32, float64}")
    .Attr("group_key: int")
    .Attr("segment: string")
    .Attr("begin: int >= 0")
    .Attr("size: int >= 0")
    .Stateful()
    .NotDifferentiable()
    .Shape([](InferenceContext& c) { c.set_output(0, Shape{c.attr<int64_t>("size")}); });
REGISTER_KERNEL("_NodeSharedReduce", DeviceType::kCpu, {}, MakeReduce);

REGISTER_OP("_NodeSharedSum")
    .Input("x: T")
    .Output("sum: T")
    .Attr("T: {float32, float64, int32, int64}")
    .Attr("group_key: int")
    .Attr("name: string")
    .Stateful()
    .NotDifferentiable()
    .Shape([](InferenceContext& c) { c.set_output(0, c.shape(0)); });
REGISTER_KERNEL("_NodeSharedSum", DeviceType::kCpu, {}, MakeSum);

REGISTER_OP("_NodeSharedEnd")
    .Input("slices: Tslices")
    .Attr("Tslices: list(type)")
    .Attr("group_key: int")
    .Stateful()
    .NotDifferentiable()
    .Shape([](InferenceContext&) {});
REGISTER_KERNEL("_NodeSharedEnd", DeviceType::kCpu, {}, MakeEnd);

void NodeSharedBegin(int64_t key, const std::vector<Tensor>& gradients,
                     const std::vector<std::string>& buckets) {
  Execute("_NodeSharedBegin", gradients, {{"group_key", key}, {"segments", buckets}});
}

Tensor NodeSharedReduce(int64_t key, const Tensor& gradient, const std::string& bucket,
                        Slice slice) {
  return Execute1("_NodeSharedReduce", {gradient},
                  {{"group_key", key},
                   {"segment", bucket},
                   {"begin", slice.begin},
                   {"size", slice.count}});
}

Tensor NodeSharedSum(int64_t key, const Tensor& x, const std::string& name) {
  return Execute1("_NodeSharedSum", {x}, {{"group_key", key}, {"name", name}});
}

void NodeSharedEnd(int64_t key, const std::vector<Tensor>& slices) {
  Execute("_NodeSharedEnd", slices, {{"group_key", key}});
}

}  // namespace tributary

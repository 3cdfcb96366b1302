#include "distribute/graph_ops/node_shared_ops.h"

#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "ops/linalg/sum_of_products.h"

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

// Sums of ranges of the own slice, and of the products between them.
class ReduceKernel final : public Kernel {
 public:
  explicit ReduceKernel(PrepareContext& c)
      : group_(GroupOf(c)), bucket_(c.attr<std::string>("segment")), dtype_(c.in_dtype(0)),
        slice_{c.attr<int64_t>("begin"), c.attr<int64_t>("size")} {
    const auto& segments = c.attr<std::vector<std::string>>("products");
    const auto& shapes = c.attr<std::vector<int64_t>>("product_shapes");
    if (shapes.size() != 4 * segments.size() || (!segments.empty() && dtype_ != DType::kFloat32)) {
      throw InvalidArgumentError("[_NodeSharedReduce] {} products of {} with {} sizes",
                                 segments.size(), DTypeName(dtype_), shapes.size());
    }
    for (size_t i = 0; i < segments.size(); ++i) {
      const int64_t* s = &shapes[4 * i];
      products_.push_back({segments[i], s[0], s[1], s[2], s[3]});
    }
  }

  void Launch(const LaunchArgs& args) override {
    auto* out = static_cast<uint8_t*>(args.out[0]);
    const auto place = [&](int64_t at) { return out + (at - slice_.begin) * DTypeSize(dtype_); };
    if (factors_.empty()) FindFactors();
    int64_t at = slice_.begin;
    for (size_t i = 0; i < products_.size(); ++i) {
      const SharedProduct& p = products_[i];
      const int64_t begin = std::clamp(p.offset, at, slice_.end());
      const int64_t end = std::clamp(p.end(), at, slice_.end());
      Sum({at, begin - at}, place(at));
      if (begin < end) {
        SumOfProducts(factors_[i], p.m, p.n, begin - p.offset, end - p.offset,
                      reinterpret_cast<float*>(place(begin)));
      }
      at = end;
    }
    Sum({at, slice_.end() - at}, place(at));
  }

 private:
  void Sum(Slice range, void* out) {
    if (range.count <= 0) return;
    if (bucket_.empty()) {
      std::memset(out, 0, static_cast<size_t>(range.count) * DTypeSize(dtype_));
    } else {
      group_->Reduce(bucket_, dtype_, ReduceOp::kSum, range, 1, out);
    }
  }
  // At the first launch: segments are made when the plan is.
  void FindFactors() {
    for (const SharedProduct& p : products_) {
      factors_.emplace_back();
      for (int r = 0; r < group_->size(); ++r) {
        const auto* a = static_cast<const float*>(group_->SegmentOf(p.segment, r));
        factors_.back().push_back({a, a + p.begin_of_b(), p.rows});
      }
    }
  }

  const std::shared_ptr<NodeGroup> group_;
  const std::string bucket_;
  const DType dtype_;
  const Slice slice_;
  std::vector<SharedProduct> products_;
  std::vector<std::vector<Factors>> factors_;  // by product, by rank
};

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
    .Attr("products: list(string)")
    .Attr("product_shapes: list(int)")
    .Stateful()
    .NotDifferentiable()
    .Shape([](InferenceContext& c) { c.set_output(0, Shape{c.attr<int64_t>("size")}); });
REGISTER_KERNEL("_NodeSharedReduce", DeviceType::kCpu, {}, [](PrepareContext& c) {
  return std::make_unique<ReduceKernel>(c);
});

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
                        Slice slice, const std::vector<SharedProduct>& products) {
  std::vector<std::string> segments;
  std::vector<int64_t> shapes;
  for (const SharedProduct& p : products) {
    segments.push_back(p.segment);
    shapes.insert(shapes.end(), {p.offset, p.rows, p.m, p.n});
  }
  return Execute1("_NodeSharedReduce", {gradient},
                  {{"group_key", key},
                   {"segment", bucket},
                   {"begin", slice.begin},
                   {"size", slice.count},
                   {"products", segments},
                   {"product_shapes", shapes}});
}

Tensor NodeSharedSum(int64_t key, const Tensor& x, const std::string& name) {
  return Execute1("_NodeSharedSum", {x}, {{"group_key", key}, {"name", name}});
}

void NodeSharedEnd(int64_t key, const std::vector<Tensor>& slices) {
  Execute("_NodeSharedEnd", slices, {{"group_key", key}});
}

}  // namespace tributary

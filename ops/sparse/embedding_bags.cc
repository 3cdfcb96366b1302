// _EmbeddingBags: rows of a table, combined over the ids of a bag
// (tf.nn.embedding_lookup_sparse on ids of fixed width).

#include <cmath>

#include "core/base/copy_small.h"
#include "core/base/parallel.h"
#include "core/graph/kernel.h"
#include "core/runtime/execute.h"
#include "core/runtime/variable.h"
#include "ops/array/gather_rows.h"
#include "ops/array/shape_rules.h"
#include "ops/array_ops.h"
#include "ops/feature_ops.h"
#include "ops/math/number.h"

namespace tributary {
namespace {

enum class Combiner { kSum, kMean, kSqrtN };

Combiner CombinerOf(const std::string& name) {
  return name == "sum" ? Combiner::kSum : name == "mean" ? Combiner::kMean : Combiner::kSqrtN;
}

// What each row of a bag with `count` ids is multiplied by.
template <typename T>
T Weight(Combiner combiner, int64_t count) {
  if (combiner == Combiner::kSum || count <= 1) return T(1);
  return combiner == Combiner::kMean ? T(1) / T(count) : T(1) / std::sqrt(T(count));
}

int64_t CheckLengths(const std::vector<int64_t>& lengths, const Shape& ids,
                     const std::string& op) {
  int64_t total = 0;
  for (const int64_t length : lengths) {
    if (length < 1) throw InvalidArgumentError("[{}] a bag of length {}", op, length);
    total += length;
  }
  if (!ids.unknown_rank() && (ids.rank() != 2 || (ids[1] >= 0 && ids[1] != total))) {
    throw InvalidArgumentError("[{}] bags of {} ids in all don't fit ids of shape {}", op, total,
                               ids.ToString());
  }
  return total;
}

void BagsShape(InferenceContext& c) {
  const auto& lengths = c.attr<std::vector<int64_t>>("lengths");
  const Shape& table = c.shape(0);
  const Shape& ids = c.shape(1);
  CheckLengths(lengths, ids, c.op());
  c.RequireRank(0, 2, "the table");
  const int64_t width = table.unknown_rank() ? Shape::kUnknownDim : table[1];
  c.set_output(0, Shape{ids.unknown_rank() ? Shape::kUnknownDim : ids[0],
                        static_cast<int64_t>(lengths.size()), width});
}

struct Bags {
  std::vector<int64_t> lengths;
  Combiner combiner;
  int64_t batch, ids, limit, width;
};

// Calls fn(bag of the batch, its first id, its length) for the bags of examples
// [begin, end).
template <typename Fn>
void ForEachBag(const Bags& bags, int64_t begin, int64_t end, const Fn& fn) {
  for (int64_t b = begin; b < end; ++b) {
    int64_t at = b * bags.ids;
    int64_t bag = b * static_cast<int64_t>(bags.lengths.size());
    for (const int64_t length : bags.lengths) {
      fn(bag++, at, length);
      at += length;
    }
  }
}

template <typename Index>
int64_t Present(const Index* ids, int64_t length) {
  return std::count_if(ids, ids + length, [](Index id) { return id >= 0; });
}

template <typename T>
void AddRow(T* to, const T* from, T weight, int64_t width) {
  for (int64_t k = 0; k < width; ++k) to[k] += weight * from[k];
}

// Rows ahead of the copy, so that a table beyond the caches does not stall each one.
constexpr int64_t kAhead = 12;

template <typename T, typename Index>
void LookUp(const Bags& bags, const T* table, const Index* ids, T* out) {
  const int64_t total = bags.batch * bags.ids;
  for (int64_t i = 0; i < total; ++i) {
    if (ids[i] >= bags.limit) ThrowIndexOutOfRange("_EmbeddingBags", i, ids[i], bags.limit);
  }
  const int64_t width = bags.width;
  const int64_t grain = 1 + (1 << 15) / (bags.ids * (width + 4) + 1);
  ParallelFor(bags.batch, grain, [&](int64_t begin, int64_t end) {
    ForEachBag(bags, begin, end, [&](int64_t bag, int64_t at, int64_t length) {
      const int64_t ahead = std::min(at + kAhead, total - 1);
      if (ids[ahead] >= 0) __builtin_prefetch(table + ids[ahead] * width);
      T* to = out + bag * width;
      if (length == 1 && ids[at] >= 0) {
        CopySmall(to, table + ids[at] * width, static_cast<size_t>(width) * sizeof(T));
        return;
      }
      std::fill_n(to, width, T(0));
      const T weight = Weight<T>(bags.combiner, Present(ids + at, length));
      for (int64_t i = at; i < at + length; ++i) {
        if (ids[i] >= 0) AddRow(to, table + ids[i] * width, weight, width);
      }
    });
  });
}

template <typename T, typename Index>
void Spread(const Bags& bags, const T* grad, const Index* ids, T* out) {
  const int64_t width = bags.width;
  const int64_t grain = 1 + (1 << 15) / (bags.ids * (width + 4) + 1);
  ParallelFor(bags.batch, grain, [&](int64_t begin, int64_t end) {
    ForEachBag(bags, begin, end, [&](int64_t bag, int64_t at, int64_t length) {
      const T weight = Weight<T>(bags.combiner, Present(ids + at, length));
      for (int64_t i = at; i < at + length; ++i) {
        std::fill_n(out + i * width, width, T(0));
        if (ids[i] >= 0) AddRow(out + i * width, grad + bag * width, weight, width);
      }
    });
  });
}

Bags BagsOf(PrepareContext& c, int64_t limit, int64_t width) {
  const Shape& ids = c.in_shape(1);
  return {c.attr<std::vector<int64_t>>("lengths"), CombinerOf(c.attr<std::string>("combiner")),
          ids[0], ids[1], limit, width};
}

template <typename Fn>
std::unique_ptr<Kernel> Dispatch(PrepareContext& c, const Fn& fn) {
  return DispatchIndex(c.in_dtype(1), c.op().c_str(), [&](auto index) {
    using Index = decltype(index);
    return c.in_dtype(0) == DType::kFloat64 ? fn(double{}, Index{}) : fn(float{}, Index{});
  });
}

std::unique_ptr<Kernel> MakeBags(PrepareContext& c) {
  c.only_reads();
  const Bags bags = BagsOf(c, c.in_shape(0)[0], c.in_shape(0)[1]);
  return Dispatch(c, [&](auto t, auto i) {
    using T = decltype(t);
    using Index = decltype(i);
    return std::unique_ptr<Kernel>(MakeKernel([bags](const LaunchArgs& args) {
      LookUp(bags, static_cast<const T*>(args.in[0]), static_cast<const Index*>(args.in[1]),
             static_cast<T*>(args.out[0]));
    }));
  });
}

std::unique_ptr<Kernel> MakeBagsGrad(PrepareContext& c) {
  const Bags bags = BagsOf(c, 0, c.in_shape(0)[2]);
  return Dispatch(c, [&](auto t, auto i) {
    using T = decltype(t);
    using Index = decltype(i);
    return std::unique_ptr<Kernel>(MakeKernel([bags](const LaunchArgs& args) {
      Spread(bags, static_cast<const T*>(args.in[0]), static_cast<const Index*>(args.in[1]),
             static_cast<T*>(args.out[0]));
    }));
  });
}

void BagsGradShape(InferenceContext& c) {
  const auto& lengths = c.attr<std::vector<int64_t>>("lengths");
  const Shape& ids = c.shape(1);
  const int64_t total = CheckLengths(lengths, ids, c.op());
  c.RequireRank(0, 3, "the gradient");
  const Shape& grad = c.shape(0);
  const bool open = grad.unknown_rank();
  if (!open && grad[1] >= 0 && grad[1] != static_cast<int64_t>(lengths.size())) {
    throw InvalidArgumentError("[{}] a gradient of {} bags, expected {}", c.op(), grad[1],
                               lengths.size());
  }
  const int64_t batch = ops::MergeDims(c, open ? Shape::kUnknownDim : grad[0],
                                       ids.unknown_rank() ? Shape::kUnknownDim : ids[0],
                                       "examples of gradient and ids");
  c.set_output(0, Shape{batch < 0 ? batch : batch * total, open ? Shape::kUnknownDim : grad[2]});
}

Grads BagsGradient(const GradContext& g) {
  const Shape table = g.input(0).spec().shape;
  const Tensor& ids = g.input(1);
  const auto& lengths = g.attr<std::vector<int64_t>>("lengths");
  const bool single =
      std::all_of(lengths.begin(), lengths.end(), [](int64_t n) { return n == 1; });
  const int64_t rows = ids.shape().IsFullyDefined() ? ids.NumElements() : -1;
  const Tensor values =
      single ? ops::Reshape(g.grad(), {rows, table[1]})
             : Execute1("_EmbeddingBagsGrad", {g.grad(), ids},
                        {{"lengths", lengths}, {"combiner", g.attr<std::string>("combiner")}});
  return {IndexedSlices{values, ops::Reshape(ids, {-1}), ops::IntList(table).tensor()}, {}};
}

const std::vector<int64_t> kLengths = {1, 3};

REGISTER_OP("_EmbeddingBags")
    .Input("table: resource")
    .Input("ids: Tindices")
    .Output("output: dtype")
    .Attr("dtype: {float32, float64}")
    .Attr("Tindices: {int32, int64}")
    .Attr("lengths: list(int)")
    .Attr("combiner: {'sum', 'mean', 'sqrtn'} = 'sum'")
    .Shape(BagsShape)
    .Gradient(BagsGradient)
    .Stateful()
    .Samples([] {
      const auto table =
          Variable::Create("table", Tensor::FromVector<double>({1, 2, 3, 4, 5, 6}, {3, 2}));
      const Tensor ids = Tensor::FromVector<int64_t>({2, 0, -1, 2, 1, 1, 1, -1}, {2, 4});
      std::vector<OpSample> samples;
      for (const char* combiner : {"sum", "mean", "sqrtn"}) {
        samples.push_back({{table->handle(), ids},
                           {{"dtype", DType::kFloat64}, {"lengths", kLengths},
                            {"combiner", combiner}}});
      }
      samples.push_back({{table->handle(), Tensor::FromVector<int32_t>({0, 2, 1, 2}, {2, 2})},
                         {{"dtype", DType::kFloat64}, {"lengths", std::vector<int64_t>{1, 1}}}});
      return samples;
    });
REGISTER_KERNEL("_EmbeddingBags", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64}, MakeBags);

// What each id's row gets of the gradient of its bag: [batch * k, width].
REGISTER_OP("_EmbeddingBagsGrad")
    .Input("grad: T")
    .Input("ids: Tindices")
    .Output("output: T")
    .Attr("T: {float32, float64}")
    .Attr("Tindices: {int32, int64}")
    .Attr("lengths: list(int)")
    .Attr("combiner: {'sum', 'mean', 'sqrtn'} = 'sum'")
    .Shape(BagsGradShape)
    .Samples([] {
      const Tensor grad = Tensor::FromVector<double>({1, 2, 3, 4, 5, 6, 7, 8}, {2, 2, 2});
      const Tensor ids = Tensor::FromVector<int64_t>({2, 0, -1, 2, 1, 1, 1, -1}, {2, 4});
      return std::vector<OpSample>{
          {{grad, ids}, {{"lengths", kLengths}, {"combiner", "mean"}}}};
    });
REGISTER_KERNEL("_EmbeddingBagsGrad", DeviceType::kCpu, {DType::kFloat32, DType::kFloat64},
                MakeBagsGrad);

}  // namespace

namespace ops {

Tensor EmbeddingBags(const Tensor& table, const Tensor& ids, const std::vector<int64_t>& lengths,
                     const std::string& combiner) {
  return Execute1("_EmbeddingBags", {table, ids},
                  {{"dtype", table.spec().handle_dtype},
                   {"lengths", lengths},
                   {"combiner", combiner}});
}

}  // namespace ops
}  // namespace tributary
